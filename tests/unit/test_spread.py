"""Where the streams of one blob work, on virtual time."""

from __future__ import annotations

from headway.distribution.ranges import Ranges
from headway.distribution.spread import (
    LONG_PIECES,
    MIN_PIECE_BYTES,
    MIN_SHARE_BYTES,
    PIECE_SECONDS,
    UNKNOWN_SECONDS,
    Fetch,
    Spread,
)

MIB = 1 << 20
SIZE = 200 * MIB
RATE = 2 * MIB


class Blob:
    """One blob's streams; each brings what the test says.

    Args:
        streams: How many there may be.
    """

    def __init__(self, streams: int) -> None:
        self.spread = Spread(SIZE)
        self.held = Ranges()
        self.streams = streams
        self.now = 0.0

    def begin(self) -> Fetch | None:
        interval = self.spread.find(self.held, streams=self.streams, now=self.now)
        return self.spread.begin(Fetch(0, *interval, SIZE), self.now) if interval else None

    def flow(self, seconds: float, *rates: float) -> None:
        """Let the streams bring bytes at these rates, in steps of a quarter of a second; those at their end end."""
        running = self.spread.running
        for _ in range(round(seconds * 4)):
            self.now += 0.25
            for fetch, rate in zip(running, rates, strict=True):
                fetch.position = min(max(fetch.end, fetch.position), fetch.position + round(rate / 4))
            self.spread.find(self.held, streams=self.streams, now=self.now)

    def end(self, fetch: Fetch, rate: float) -> None:
        self.held.add(fetch.offset, fetch.position)
        self.spread.ended(fetch, rate=rate, now=self.now)


def test_one_stream_asks_for_the_whole_gap() -> None:
    blob = Blob(streams=1)
    blob.held.add(10, 20)

    first = blob.begin()

    assert first is not None
    assert (first.offset, first.end) == (0, 10)


def test_a_second_stream_takes_most_over_from_one_that_was_alone() -> None:
    blob = Blob(streams=1)
    first = blob.begin()
    assert first is not None
    blob.flow(3, RATE)

    blob.streams = 2
    second = blob.begin()

    assert second is not None
    assert first.end < SIZE
    assert first.end - first.position <= PIECE_SECONDS * RATE
    assert second.offset == first.end
    assert second.end - second.offset <= 1.5 * PIECE_SECONDS * RATE


def test_a_piece_is_a_few_seconds_of_work() -> None:
    blob = Blob(streams=2)
    first = blob.begin()
    assert first is not None
    assert first.end == MIN_PIECE_BYTES
    blob.flow(0.25, first.end * 4)
    blob.end(first, RATE)

    second = blob.begin()

    assert second is not None
    assert second.end - second.offset == PIECE_SECONDS * RATE


def test_pieces_grow_small_near_the_end_so_that_all_end_together() -> None:
    blob = Blob(streams=4)
    blob.held.add(0, SIZE - 4 * MIB)
    blob.spread.ended(Fetch(0, 0, MIB, 0, position=MIB), rate=RATE, now=0.0)

    pieces = [fetch.end - fetch.offset for fetch in [blob.begin() for _ in range(4)] if fetch]

    assert len(pieces) == 4
    assert max(pieces) <= MIB


def test_a_straggler_keeps_a_little_and_the_others_get_the_rest() -> None:
    blob = Blob(streams=2)
    blob.spread.ended(Fetch(0, 0, MIB, 0, position=MIB), rate=RATE, now=0.0)
    slow = blob.begin()
    fast = blob.begin()
    assert slow is not None
    assert fast is not None
    before = slow.end
    blob.flow(2, RATE / 100, RATE)

    blob.spread.find(blob.held, streams=3, now=blob.now)

    assert slow.end - slow.position <= MIN_SHARE_BYTES
    third = blob.begin()
    assert third is not None
    assert (third.offset, third.end) == (slow.end, before)


def test_who_shows_nothing_at_all_gets_nothing_left() -> None:
    blob = Blob(streams=2)
    blob.spread.ended(Fetch(0, 0, MIB, 0, position=MIB), rate=RATE, now=0.0)
    silent = blob.begin()
    fast = blob.begin()
    assert silent is not None
    assert fast is not None

    blob.flow(UNKNOWN_SECONDS, 0, RATE)
    assert silent.end > silent.offset
    blob.flow(0.25, 0, RATE)

    assert silent.end == silent.offset


def test_streams_that_are_equally_slow_are_no_stragglers() -> None:
    blob = Blob(streams=2)
    first, second = blob.begin(), blob.begin()
    assert first is not None
    assert second is not None
    ends = first.end, second.end

    blob.flow(2, 1000, 1000)

    assert (first.end, second.end) == ends


def test_when_everything_is_under_way_there_is_nothing_to_do() -> None:
    blob = Blob(streams=4)
    blob.held.add(0, SIZE - MIN_SHARE_BYTES)
    blob.begin()

    assert blob.begin() is None


def test_no_stream_is_given_more_than_a_few_pieces_where_there_are_others() -> None:
    blob = Blob(streams=1)
    first = blob.begin()
    assert first is not None
    blob.streams = 4
    blob.flow(1, RATE)

    assert first.end - first.position <= LONG_PIECES * PIECE_SECONDS * RATE
