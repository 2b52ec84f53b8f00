"""An event log in memory; it passes the same contract suite as the one on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from headway.records import Event


class MemoryEventLog:
    """`EventLog` as a list.

    Args:
        history: How many events are kept.
    """

    def __init__(self, *, history: int = 1_000) -> None:
        self._history = history
        self._events: list[Event] = []

    def append(
        self, clock: Callable[[], int], kind: str, action: str, actor: str, attributes: Mapping[str, str]
    ) -> Event:
        event = Event(
            sequence=self.last() + 1,
            time_nano=clock(),
            type=kind,
            action=action,
            actor=actor,
            attributes=dict(attributes),
        )
        self._events.append(event)
        del self._events[: -self._history]
        return event

    def last(self) -> int:
        return self._events[-1].sequence if self._events else 0

    def behind(self, sequence: int) -> list[Event]:
        return [event for event in list(self._events) if event.sequence > sequence]
