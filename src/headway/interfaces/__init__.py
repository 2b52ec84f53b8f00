"""The places where Headway's parts meet, each with its lifecycle in prose.

Rule 1: `service` talks to the network and the disk only through these; `composition` joins them.
Rule 2: everything here blocks and may be called from any thread. The service enters through its executors
        (`service.concurrency.executors`), so that the event loop never waits; a command that needs no loop calls
        directly.
Rule 3: adapters never retry. Whether to try again is decided in `distribution`.
Rule 4: bytes that were written survive every way of leaving: an error, a cancel, a kill, a power cut.
"""
