"""What every `EventLog` does."""

from __future__ import annotations

from headway.interfaces.events import EventLog
from headway.records import Event

HISTORY = 5


def tell(log: EventLog, number: int) -> Event:
    return log.append(lambda: 1_000 + number, "image", "tag", f"image-{number}", {"name": f"app:{number}", "ö": "\n"})


class EventLogContract:
    """Give `subject`, an empty `EventLog` that keeps `HISTORY` events."""

    def test_nothing_has_happened_at_first(self, subject: EventLog) -> None:
        assert (subject.last(), subject.behind(0)) == (0, [])

    def test_events_come_back_as_they_were_in_their_order(self, subject: EventLog) -> None:
        told = [tell(subject, number) for number in range(3)]

        assert subject.behind(0) == told
        assert [event.sequence for event in told] == [1, 2, 3]
        assert told[1] == Event(
            sequence=2,
            time_nano=1_001,
            type="image",
            action="tag",
            actor="image-1",
            attributes={"name": "app:1", "ö": "\n"},
        )

    def test_who_has_seen_some_gets_the_others(self, subject: EventLog) -> None:
        told = [tell(subject, number) for number in range(3)]

        assert subject.behind(told[0].sequence) == told[1:]
        assert subject.behind(subject.last()) == []

    def test_the_oldest_go_and_their_numbers_tell_it(self, subject: EventLog) -> None:
        for number in range(HISTORY + 3):
            tell(subject, number)

        assert [event.sequence for event in subject.behind(1)] == [4, 5, 6, 7, 8]
        assert subject.last() == HISTORY + 3
