"""What one process asks of registries, counted where it happens."""

from __future__ import annotations

import threading


class Meter:
    """Counts requests and what came back for them; any thread may call.

    Attributes:
        requests: How many were answered, those for tokens and redirects included.
        received_bytes: What came over all connections, headers included (as counted before TLS).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = 0
        self.received_bytes = 0

    def answered(self, header_bytes: int) -> None:
        """Take note of an answer's headers."""
        with self._lock:
            self.requests += 1
            self.received_bytes += header_bytes

    def received(self, count: int) -> None:
        """Take note of what came of a body."""
        with self._lock:
            self.received_bytes += count
