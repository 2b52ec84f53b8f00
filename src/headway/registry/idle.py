"""Idle connections, kept open for the next exchange.

Rule: who waits too long is ended by the next who comes or goes, whoever is asked then: a daemon asks thousands of hosts
in its life, most of them once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from headway.distribution.proxies import Proxy
from headway.registry.address import Address
from headway.registry.connection import Connection

KEEP_ALIVE_SECONDS = 20.0


class IdleConnections:
    """Keeps them by address and proxy; safe to use from any thread.

    Args:
        clock: Monotonic time, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._closed = False
        self._idle: dict[tuple[Address, Proxy | None], list[tuple[float, Connection]]] = {}
        self._lock = threading.Lock()

    def take(self, address: Address, proxy: Proxy | None, upload: object = None) -> Connection | None:
        """Return an idle connection to `address` through `proxy`, if there is a fresh one.

        Args:
            address: Whom to reach.
            proxy: What leads there.
            upload: What the request is a part of (`sending.Body`): it gets the connection of its own, or one of nobody.
        """
        with self._lock:
            self._end_old_ones()
            idle = self._idle.get((address, proxy), [])
            for user in dict.fromkeys((upload, None)):
                for number in range(len(idle) - 1, -1, -1):
                    if idle[number][1].upload is user:
                        return idle.pop(number)[1]
            return None

    def give_back(self, address: Address, connection: Connection) -> None:
        """Keep a connection for the next exchange; where there will be none, end it."""
        with self._lock:
            if self._closed:  # by an exchange that was left behind when its caller was cancelled
                connection.close()
                return
            self._end_old_ones()
            self._idle.setdefault((address, connection.proxy), []).append((self._clock(), connection))

    def _end_old_ones(self) -> None:
        until = self._clock() - KEEP_ALIVE_SECONDS
        for whom, idle in list(self._idle.items()):
            while idle and idle[0][0] <= until:
                idle.pop(0)[1].close()
            if not idle:
                del self._idle[whom]

    def drop(self, address: Address) -> None:
        """End every idle connection to `address`."""
        with self._lock:
            for (whom, _), idle in self._idle.items():
                while whom == address and idle:
                    idle.pop()[1].close()

    def close(self) -> None:
        """End every idle connection, and those that come back later."""
        with self._lock:
            self._closed = True
            for idle in self._idle.values():
                for _, connection in idle:
                    connection.close()
            self._idle.clear()
