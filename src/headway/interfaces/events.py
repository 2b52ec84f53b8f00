"""The event log: what happened, kept for later questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from headway.records import Event


class EventLog(Protocol):
    """The last thousand events or so, numbered without gaps.

    What is appended inside a `Transaction` is there when that is, and not where it is rolled back: an event and the
    change that it tells of are one commit. Any thread may read meanwhile; it waits for a transaction's end.
    """

    def append(
        self, clock: Callable[[], int], kind: str, action: str, actor: str, attributes: Mapping[str, str]
    ) -> Event:
        """Write down an event and return it with its number; the oldest one goes where there are too many.

        Args:
            clock: Nanoseconds since the epoch; read when no other event can come before this one any more.
            kind: The event's type.
            action: What happened.
            actor: Whom it happened to.
            attributes: What else there is to know.

        Raises:
            StoreFullError: No space left.
            StoreError: The disk failed.
        """

    def last(self) -> int:
        """Return the number of the newest event, 0 where there never was one."""

    def behind(self, sequence: int) -> list[Event]:
        """Return the events with a higher number, oldest first; where some of them are gone, their numbers lack."""
