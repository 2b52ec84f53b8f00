"""Decides how many connections to use at once, by the rate that they bring.

A stream is a connection that fetches a range of a blob. A trial is a time during which more streams are used, to see
whether they bring more.

Rule 1: each blob begins with one stream. If the flow is steady, this machine could take far more, and there is work for
        some seconds, twice as many are tried; they stay if they bring a quarter more.
Rule 2: after two trials in a row without a gain (one may have met a slow server), there is no other trial until the
        rate falls clearly below what was seen then.
Rule 3: there are at most `MAX_STREAMS` to one registry, and one for each blob if it ignores ranges.
Rule 4: if the link breaks connections all the time, a second stream is being opened while the first one flows.
Rule 5: a thin link fetches one blob at a time: two would only both be late. A link that becomes thin begins again with
        one stream. There are trials on it as well, since what looks like a thin link may be one slow server of several.
"""

from __future__ import annotations

from collections import defaultdict, deque
from enum import Enum, auto

import msgspec

from headway.distribution.flow import Pace

MAX_STREAMS = 8
JUDGE_SECONDS = 0.5
MAX_JUDGE_SECONDS = 3.0
JUDGE_ROUND_TRIPS = 4
TRIAL_SECONDS = 10.0
GAIN = 1.25
TRIALS_IN_VAIN = 2
STEADY = 1.15
FALLEN = 0.75
FAST_BYTES_PER_SECOND = 40e6  # about as fast as unpacking, which more bytes would only wait for
WORTH_SECONDS = 4.0
WORTH_BYTES = 8 << 20
WORTH_BYTES_PER_SECOND = 4096.0  # below that, the handshake of another connection takes seconds
IDLE_SHARE = 0.08
IDLE_SECONDS = 1.0  # in all; less than that is no loss
THIN_BYTES_PER_SECOND = 64 * 1024.0
EVIDENCE_BYTES = 64 * 1024
EVIDENCE_SECONDS = 1.0
QUICK_BYTES_PER_SECOND = 20e6
QUICK_EVIDENCE_BYTES = 8 << 20
_SAMPLES = 64
_SAMPLE_SECONDS = 0.05


class _Use(msgspec.Struct, frozen=True):
    """The connections of one blob: all that are open, and those that bring bytes."""

    open: int
    flowing: int


class _Trial(msgspec.Struct, frozen=True):
    """More streams than before, on probation.

    Attributes:
        rate: The rate before it, in bytes per second.
        streams: How many streams must flow before it is judged.
        extra_before: How many extra streams to go back to.
        until: When it has failed at the latest.
    """

    rate: float
    streams: int
    extra_before: int
    until: float


class HostStreams:
    """The streams to one registry, all of its blobs together.

    Attributes:
        ignores_ranges: Whether the registry has sent a whole blob when a range was requested.
        first_byte_seconds: The longest that the first byte of an answer has taken so far.
    """

    def __init__(self) -> None:
        self.ignores_ranges = False
        self.first_byte_seconds = 0.0
        self._extra = 0  # streams beyond one for each blob
        self._blobs: dict[int, _Use] = {}
        self._received = 0
        self._count = 0
        self._reached = 0  # the most streams that flowed at once since the last decision; they come and go
        self._samples: deque[tuple[float, int]] = deque(maxlen=_SAMPLES)  # since the last decision
        self._trial: _Trial | None = None
        self._in_vain = 0
        self._enough = 0.0
        self._thin = False
        self._idle_seconds = self._flow_seconds = 0.0

    # --- what is reported -----------------------------------------------------------------------------------

    def ended(self, *, waited_seconds: float, flowed_seconds: float, broken: bool) -> None:
        """Report a connection that flowed, how long its first byte took, and whether it broke."""
        self._flow_seconds += flowed_seconds
        if broken:
            self._idle_seconds += waited_seconds  # opening another one will take about as long

    def report(
        self,
        blob: int,
        *,
        open_streams: int,
        flowing: int,
        waited_seconds: float,
        received: int,
        left: int,
        thin: bool,
        now: float,
        limited: bool = False,
    ) -> None:
        """Report one blob's flow.

        Args:
            blob: Identifies the blob.
            open_streams: How many connections it has.
            flowing: How many of them bring bytes.
            waited_seconds: The longest that the first byte of one of them took.
            received: Bytes received since the last report.
            left: Bytes that the blob still lacks.
            thin: Whether the link is thin.
            now: Monotonic time, in seconds.
            limited: Whether it is limited to a rate or to one stream, and so says nothing about the link: a trial would
                look like a gain once the limit is lifted.
        """
        self.first_byte_seconds = max(self.first_byte_seconds, waited_seconds)
        self._blobs[blob] = _Use(open_streams, flowing)
        if limited:
            return
        self._received += received
        if thin and not self._thin and self._trial is None:
            self._extra, self._enough = 0, 0.0
            self._begin_anew()
        self._thin = thin
        self._count = sum(use.flowing for use in self._blobs.values())
        if self._count > self._reached:
            self._begin_anew()
        if not self._samples or now - self._samples[-1][0] >= _SAMPLE_SECONDS:
            self._samples.append((now, self._received))
            self._judge(left, now)

    def gone(self, blob: int) -> None:
        """Report that a blob needs no connections any more."""
        self._blobs.pop(blob, None)

    # --- what follows ---------------------------------------------------------------------------------------

    def share(self, blob: int) -> int:
        """Return how many connections a blob may have now."""
        if self.ignores_ranges:
            return 1
        others = [use.open for known, use in self._blobs.items() if known != blob]
        extra = self._extra - sum(max(0, each - 1) for each in others)
        if self._idle_seconds > max(IDLE_SECONDS, IDLE_SHARE * (self._idle_seconds + self._flow_seconds)):
            extra = max(extra, 1)
        return max(1, min(1 + extra, MAX_STREAMS - sum(others)))

    def _begin_anew(self) -> None:
        self._reached = self._count
        self._samples.clear()

    def _judge(self, left: int, now: float) -> None:
        rate = self._steady_rate()
        if self._trial is None:
            if rate is not None and self._is_worth_a_trial(rate, left):
                more = min(self._count, MAX_STREAMS - self._count)
                self._trial = _Trial(rate, self._count + more, self._extra, now + TRIAL_SECONDS)
                self._extra += more
                self._begin_anew()
        elif now > self._trial.until or (rate is not None and self._reached >= self._trial.streams):
            self._conclude(self._trial, rate or 0.0)
            self._trial = None
            self._begin_anew()

    def _conclude(self, trial: _Trial, brought: float) -> None:
        if brought >= GAIN * trial.rate:
            self._in_vain, self._enough = 0, 0.0
            return
        self._extra = trial.extra_before
        self._in_vain += 1
        if self._in_vain >= TRIALS_IN_VAIN:
            self._in_vain, self._enough = 0, max(brought, trial.rate)

    def _is_worth_a_trial(self, rate: float, left: int) -> bool:
        return (
            0 < self._count < MAX_STREAMS
            and not self.ignores_ranges
            and WORTH_BYTES_PER_SECOND < rate < FAST_BYTES_PER_SECOND
            and left >= max(WORTH_BYTES, WORTH_SECONDS * rate)
            and rate < (FALLEN * self._enough or rate + 1)
        )

    def _steady_rate(self) -> float | None:
        """Return the rate of all streams together; None while it is not known, or still grows."""
        if not self._samples:
            return None
        (began, first), (ended, last) = self._samples[0], self._samples[-1]
        needed = min(MAX_JUDGE_SECONDS, max(JUDGE_SECONDS, JUDGE_ROUND_TRIPS * self.first_byte_seconds))
        if ended - began < needed or len(self._samples) < 3:
            return None
        between = list(self._samples)[1:-1]
        middle, half = min(between, key=lambda sample: abs(sample[0] - (began + ended) / 2))
        if (last - half) / (ended - middle) > STEADY * (half - first) / (middle - began):
            while self._samples[0][0] < middle:
                self._samples.popleft()
            return None
        return (last - first) / (ended - began)


class _Link(Enum):
    UNKNOWN = auto()
    THIN = auto()
    OPEN = auto()


class Streams:
    """The streams of a process, by registry, and what is known of the link that they share.

    Attributes:
        is_fast: Whether the link brought at least 20 MB a second when it was last used.
    """

    def __init__(self) -> None:
        self._hosts: defaultdict[str, HostStreams] = defaultdict(HostStreams)
        self._link = _Link.UNKNOWN
        self._received = 0
        self._last = 0.0
        self._flowed_seconds = 0.0
        self._pace = Pace(0, now=0.0)
        self._used_seconds = 0.0
        self._used_pace = Pace(0, now=0.0)
        self.is_fast = False

    def to(self, host: str) -> HostStreams:
        """Return the streams to one registry."""
        return self._hosts[host]

    @property
    def is_thin(self) -> bool:
        """Whether the link is so slow that two blobs at once would only both be late."""
        return self._link is _Link.THIN

    @property
    def is_unknown(self) -> bool:
        """Whether it is not known yet what the link is like."""
        return self._link is _Link.UNKNOWN

    @property
    def blobs_at_once(self) -> int:
        """How many blobs the link has room for: one while it is thin or unknown, then any number."""
        return 1 << 30 if self._link is _Link.OPEN else 1

    def report(self, received: int, *, flowing: int, now: float) -> None:
        """Report the bytes received over some connections since the last report, and how many of them bring bytes."""
        self._flowed_seconds += now - self._last if flowing else 0.0
        # A blob that arrived between two reports has no connection any more, but its time counts.
        self._used_seconds += now - self._last if flowing or received else 0.0
        self._last = now
        self._received += received
        self._judge_speed()
        self._pace.saw(self._received, now=self._flowed_seconds)
        if self._pace.seconds >= EVIDENCE_SECONDS:
            opens_at = 2 * THIN_BYTES_PER_SECOND if self.is_thin else THIN_BYTES_PER_SECOND
            self._link = _Link.OPEN if self._pace.rate >= opens_at else _Link.THIN
        elif self.is_unknown and self._received >= EVIDENCE_BYTES:
            self._link = _Link.OPEN

    def _judge_speed(self) -> None:
        pace = self._used_pace
        pace.saw(self._received, now=self._used_seconds)
        if pace.rate * pace.seconds >= QUICK_EVIDENCE_BYTES or pace.seconds >= EVIDENCE_SECONDS:
            self.is_fast = pace.rate >= QUICK_BYTES_PER_SECOND

    def showed_nothing(self) -> None:
        """Report that bytes came which say nothing about the link: a small blob, or a flow that we limit ourselves."""
        if self.is_unknown:
            self._link = _Link.OPEN
