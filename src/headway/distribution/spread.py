"""Divides a blob among its streams, so that it grows from the front and does not wait for a straggler.

Rule 1: a single stream requests the whole gap; several take a piece each, the one nearest to the front first.
Rule 2: a piece is a few seconds of work, and less near the end of the blob, so that all streams end together.
Rule 3: a stream that would take far longer for the rest of its range than another one is a straggler, or was alone
        before. The other one takes over most of that rest.
Rule 4: no byte is requested by two streams at once, except for those in flight when a stream is shortened.
"""

from __future__ import annotations

import math

import msgspec

from headway.distribution.flow import Pace
from headway.distribution.ranges import Ranges

PIECE_SECONDS = 4.0
PIECE_ROUND_TRIPS = 20  # a request costs one of them
MIN_PIECE_BYTES = 256 * 1024
MIN_SHARE_BYTES = 64 * 1024
UNKNOWN_SECONDS = 3.0  # how long a stream may show nothing before it counts as slow
RECENT_SECONDS = 10.0
LONG_PIECES = 3
STRAGGLER_FACTOR = 4


class Fetch(msgspec.Struct):
    """Request the bytes from `offset` up to `end` from a source, and report with `BlobDownload.fetched`.

    Whoever performs it advances `position` and stops at `end`, which the machine may lower meanwhile. Each of the two
    has one writer, so that the other side may read it at any time.

    Attributes:
        source: Index of the source to ask.
        offset: First byte to fetch.
        end: Where to stop, exclusive.
        skip_limit: How many held bytes a server that ignores ranges may send again before it is stopped.
        check_bytes: 0 to write the bytes that arrive. Otherwise the held bytes are doubtful: compare them, write those
            that differ, and stop this many bytes behind the first difference.
        without_range: Whether to request the whole blob and skip what is not wanted, as the source serves no ranges.
        position: End of the bytes that were written or compared so far.
        waited_seconds: How long the first byte of the body took; 0 before it arrived.
    """

    source: int
    offset: int
    end: int
    skip_limit: int
    check_bytes: int = 0
    without_range: bool = False
    position: int = -1
    waited_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.position = max(self.position, self.offset)


class _Stream:
    """A running fetch, and its rate."""

    def __init__(self, fetch: Fetch, now: float) -> None:
        self.fetch = fetch
        self.began = now
        self._pace: Pace | None = None

    def look(self, now: float) -> None:
        if self._pace is not None:
            self._pace.saw(self.fetch.position, now=now)
        elif self.fetch.position > self.fetch.offset:
            self._pace = Pace(self.fetch.position, now=now)

    @property
    def flows(self) -> bool:
        return self._pace is not None

    @property
    def left(self) -> int:
        return self.fetch.end - self.fetch.position

    def rate(self, now: float, patience_seconds: float) -> float | None:
        """Return the rate in bytes per second; None if it is too early to tell."""
        if self._pace is not None and self._pace.seconds > 0:
            return self._pace.rate
        return 0.0 if now - self.began > patience_seconds else None


class Spread:
    """Assigns the gaps of one blob to its streams.

    Args:
        size: Size of the blob, in bytes.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._streams: list[_Stream] = []
        self._usual_rate = 0.0  # rate of a stream that is not a straggler
        self._ended_rate, self._ended_at = 0.0, -math.inf
        self._first_byte_seconds = 0.0

    @property
    def running(self) -> list[Fetch]:
        """The running requests."""
        return [stream.fetch for stream in self._streams]

    def begin(self, fetch: Fetch, now: float) -> Fetch:
        """Note that a request begins."""
        self._streams.append(_Stream(fetch, now))
        return fetch

    def ended(self, fetch: Fetch, *, rate: float, now: float) -> None:
        """Note that a request has ended, and its rate in bytes per second."""
        self._streams = [stream for stream in self._streams if stream.fetch is not fetch]
        if fetch.position - fetch.offset < MIN_PIECE_BYTES:
            return  # too few bytes to tell a rate
        if rate >= self._ended_rate or now - self._ended_at > RECENT_SECONDS:
            self._ended_rate, self._ended_at = rate, now

    def find(self, held: Ranges, *, streams: int, now: float) -> tuple[int, int] | None:
        """Return the interval that one more stream should fetch; None if there is nothing left for it.

        Args:
            held: The bytes that the ingest holds.
            streams: How many streams there may be.
            now: Monotonic time, in seconds.
        """
        self._look(now)
        if not self._streams and streams == 1:
            return next(held.gaps(self._size), None)
        self._relieve(now)
        taken = held.copy()
        for stream in self._streams:
            taken.add(stream.fetch.offset, stream.fetch.end)
        gaps = list(taken.gaps(self._size))
        if not gaps:
            return None
        left = sum(end - start for start, end in gaps) // (2 * streams)
        piece = max(MIN_PIECE_BYTES, min(int(self._usual_rate * self._piece_seconds), left))
        start, end = gaps[0]
        return start, end if end - start < 1.5 * piece else start + piece

    def _look(self, now: float) -> None:
        for stream in self._streams:
            stream.look(now)
            self._first_byte_seconds = max(self._first_byte_seconds, stream.fetch.waited_seconds)
        rates = [self._rate(stream, now) or 0.0 for stream in self._streams]
        if now - self._ended_at <= RECENT_SECONDS:
            rates.append(self._ended_rate)
        self._usual_rate = max(rates, default=0.0) or self._usual_rate

    def _rate(self, stream: _Stream, now: float) -> float | None:
        return stream.rate(now, UNKNOWN_SECONDS + 2 * self._first_byte_seconds)

    @property
    def _piece_seconds(self) -> float:
        return max(PIECE_SECONDS, PIECE_ROUND_TRIPS * self._first_byte_seconds)

    def _relieve(self, now: float) -> None:
        """Shorten the streams of which another one would fetch a part sooner."""
        if not self._usual_rate:
            return
        for stream in self._streams:
            rate, left = self._rate(stream, now), stream.left
            if rate is None or (stream.flows and left < 2 * MIN_SHARE_BYTES):
                continue
            other_seconds = left / self._usual_rate + self._first_byte_seconds
            is_straggler = left > rate * (1 + STRAGGLER_FACTOR * other_seconds)
            if is_straggler or left > max(2 * MIN_PIECE_BYTES, rate * LONG_PIECES * self._piece_seconds):
                share = int(min(left * rate / (rate + self._usual_rate), rate * self._piece_seconds))
                least = MIN_SHARE_BYTES if is_straggler else MIN_PIECE_BYTES
                # A stream that has brought nothing in all this time may never do: the others take everything.
                stream.fetch.end = stream.fetch.position + (max(least, share) if stream.flows else 0)
