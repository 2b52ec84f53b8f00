"""Every decision about downloads, uploads, retries and registries, without I/O, clock or event loop.

It is the OCI distribution specification, and whatever else a pull or push has to decide, as values and state machines.
"""
