"""Decides which of a host's addresses to try, and in which order.

Rule 1: an address that accepted a connection is remembered, and used while the name servers do not answer.
Rule 2: the address that worked last is tried first; behind it the families alternate (RFC 8305, section 4).
Rule 3: an address that accepted a connection and then was silent is tried last: another one may lead another way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from headway.distribution.recent import Recent

MAX_REMEMBERED = 4


class AddressBook:
    """Addresses that accepted connections, by host name, the latest first.

    Connections report from threads of their own; each report replaces one entry.

    Args:
        known: Addresses from earlier processes.
    """

    def __init__(self, known: Mapping[str, Sequence[str]] | None = None) -> None:
        self._good = Recent({host: tuple(addresses) for host, addresses in (known or {}).items()})
        self._new: Recent[str, tuple[str, ...]] = Recent()
        self._silent: Recent[str, tuple[str, ...]] = Recent()

    def connected(self, host: str, address: str) -> None:
        """Remember that `address` accepted a connection for `host`."""
        before = self._good.get(host, ())
        if before[:1] != (address,):
            after = (address, *(known for known in before if known != address))[:MAX_REMEMBERED]
            self._good[host] = self._new[host] = after

    def good(self, host: str) -> tuple[str, ...]:
        """Return the addresses that have worked, the latest first."""
        return self._good.get(host, ())

    def fell_silent(self, host: str, address: str) -> None:
        """Remember that `address` accepted a connection and then sent nothing."""
        before = self._silent.get(host, ())
        self._silent[host] = (*(known for known in before if known != address), address)[-MAX_REMEMBERED:]

    def silent(self, host: str) -> tuple[str, ...]:
        """Return the addresses that fell silent, the latest last."""
        return self._silent.get(host, ())

    def take_new(self) -> dict[str, tuple[str, ...]]:
        """Return the entries that have changed since the last call, to be stored."""
        new, self._new = self._new, Recent()
        return dict(new)


def race_order(found: Iterable[str], good: Sequence[str], silent: Sequence[str] = ()) -> list[str]:
    """Return the addresses from a lookup in the order in which to try them.

    Args:
        found: The addresses, in the system's order (RFC 6724).
        good: Those that have worked, the latest first.
        silent: Those that fell silent, the latest last.
    """
    rest = list(dict.fromkeys(found))
    order = [address for address in good if address in rest]
    rest = [address for address in rest if address not in order]
    first = [address for address in rest if _family(address) == _family(rest[0])]
    second = [address for address in rest if _family(address) != _family(rest[0])]
    while first or second:
        order += first[:1] + second[:1]
        first, second = first[1:], second[1:]
    return sorted(order, key=lambda address: silent.index(address) if address in silent else -1)


def _family(address: str) -> int:
    return 6 if ":" in address else 4
