"""Looks up host names, in threads that can be abandoned when a name server does not answer.

Rule 1: nobody waits longer for a name server than it says; the answer that comes later serves the next one who asks.
Rule 2: an address that took a connection before stands in where the name servers fail or do not answer.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from headway.distribution.addresses import AddressBook, race_order
from headway.distribution.recent import Recent

FRESH_SECONDS = 60.0  # a link that is cut every few seconds asks no name server each time
STAND_IN_SECONDS = 2.0  # how long an answer is waited for where a known address can stand in
_LOOK_SECONDS = 0.05

Resolve = Callable[..., Iterable[Sequence[Any]]]
"""As `socket.getaddrinfo`."""


class LookupTimeoutError(TimeoutError):
    """No name server answered in time."""


class _Lookup:
    """One question to the name servers, shared by all who have it."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.done = threading.Event()
        self.found: list[str] = []
        self.error: Exception | None = None


class Names:
    """Finds hosts; safe to use from any thread.

    Args:
        book: Addresses that took connections.
        resolve: Asks the name servers, as `socket.getaddrinfo` does.
    """

    def __init__(self, book: AddressBook | None = None, resolve: Resolve | None = None) -> None:
        self.book = book or AddressBook()
        self._resolve = resolve or socket.getaddrinfo
        self._lookups: Recent[str, _Lookup] = Recent()
        self._lock = threading.Lock()

    def lookup(self, host: str, *, seconds: float, require: Callable[[], None] = lambda: None) -> list[str]:
        """Return the addresses of a host, in the order in which to try them.

        Args:
            host: A name or a literal address.
            seconds: How long to wait where no known address can stand in.
            require: Called while it waits; what it raises ends the wait.

        Raises:
            socket.gaierror: The name servers know no such host, or fail.
            LookupTimeoutError: None of them answered.
            UnicodeError: It is not a name that can exist.
        """
        if is_literal(host):
            return [host]
        good = self.book.good(host)
        lookup = self._lookup(host)
        until = lookup.started + STAND_IN_SECONDS if good else time.monotonic() + seconds
        while not lookup.done.wait(min(_LOOK_SECONDS, max(0.0, until - time.monotonic()))):
            require()
            if time.monotonic() >= until:
                break
        if not lookup.found and (not good or isinstance(lookup.error, UnicodeError)):
            raise lookup.error or LookupTimeoutError
        return race_order(lookup.found or good, good, self.book.silent(host))

    def connected(self, host: str, address: str) -> None:
        """Remember an address that took a connection."""
        if not is_literal(host):
            self.book.connected(host, address)

    def fell_silent(self, host: str, address: str) -> None:
        """Try an address behind the host's others from now on."""
        if not is_literal(host):
            self.book.fell_silent(host, address)

    def forget(self, host: str) -> None:
        """Ask the name servers anew next time: what they said last leads nowhere."""
        with self._lock:
            lookup = self._lookups.get(host)
            if lookup is not None and lookup.done.is_set():
                del self._lookups[host]

    def _lookup(self, host: str) -> _Lookup:
        """Return the question under way, or one that was answered a moment ago, or a new one."""
        with self._lock:
            lookup = self._lookups.get(host)
            now = time.monotonic()
            answered = lookup is not None and lookup.done.is_set()
            if lookup is None or (answered and (not lookup.found or now - lookup.started > FRESH_SECONDS)):
                lookup = _Lookup(now)
                threading.Thread(target=self._ask, args=(host, lookup), name="names", daemon=True).start()
                self._lookups[host] = lookup  # not before: without a thread it would stay unanswered for everybody
            return lookup

    def _ask(self, host: str, lookup: _Lookup) -> None:
        try:
            answers = self._resolve(host, None, type=socket.SOCK_STREAM)
            lookup.found = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
        except (OSError, UnicodeError) as error:
            lookup.error = error
        finally:
            lookup.done.set()


def is_literal(host: str) -> bool:
    """Tell whether a host is an address already."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
