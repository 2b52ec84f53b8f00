"""Which of a host's addresses to try, and in which order.

Rule 1: an address that a connection was made to is remembered, and used while the name servers do not answer.
Rule 2: what worked last is tried first; the families take turns behind it (RFC 8305, section 4).
Rule 3: who took a connection and then was silent on it is tried last: another address may lead another way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from headway.distribution.recent import Recent

MAX_REMEMBERED = 4


class AddressBook:
    """Addresses that connections were made to, by host name, the latest first.

    Connections report from threads of their own; each report replaces one entry.

    Args:
        known: From earlier processes.
    """

    def __init__(self, known: Mapping[str, Sequence[str]] | None = None) -> None:
        self._good = Recent({host: tuple(addresses) for host, addresses in (known or {}).items()})
        self._new: Recent[str, tuple[str, ...]] = Recent()
        self._silent: Recent[str, tuple[str, ...]] = Recent()

    def connected(self, host: str, address: str) -> None:
        """Remember that `address` took a connection for `host`."""
        before = self._good.get(host, ())
        if before[:1] != (address,):
            after = (address, *(known for known in before if known != address))[:MAX_REMEMBERED]
            self._good[host] = self._new[host] = after

    def good(self, host: str) -> tuple[str, ...]:
        """Return the addresses that are known to have worked, the latest first."""
        return self._good.get(host, ())

    def fell_silent(self, host: str, address: str) -> None:
        """Remember that nothing came from `address`, over a connection that it took."""
        before = self._silent.get(host, ())
        self._silent[host] = (*(known for known in before if known != address), address)[-MAX_REMEMBERED:]

    def silent(self, host: str) -> tuple[str, ...]:
        """Return the addresses that fell silent, the latest last."""
        return self._silent.get(host, ())

    def take_new(self) -> dict[str, tuple[str, ...]]:
        """Return what has changed since the last call, for whoever keeps it."""
        new, self._new = self._new, Recent()
        return dict(new)


def race_order(found: Iterable[str], good: Sequence[str], silent: Sequence[str] = ()) -> list[str]:
    """Return the addresses that name servers gave, in the order in which to try them.

    Args:
        found: In the order of the system's own rules (RFC 6724).
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
