"""Whether to try again, and when (docs/architecture.md, "When a pull gives up").

Rule 1: attempts are counted while no new byte arrives; one new byte starts the count anew.
Rule 2: the delay grows like Docker's (5 seconds more each time) and shrinks only after real flow.
Rule 3: what the registry asks for with ``Retry-After`` wins over both; a request that was held back for its sake is no
        attempt.
Rule 4: an error that time does not mend is final at once.
Rule 5: a wait that is longer than anybody wants to wait is not begun: better to say when to come again.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from headway.errors import (
    Fault,
    GaveUpError,
    HeadwayError,
    HeldBackError,
    ThrottledError,
    UnavailableError,
    UnreachableError,
)

DELAY_STEP_SECONDS = 5.0
MAX_DELAY_SECONDS = 60.0
FLOW_BYTES = 16 * 1024
FLOW_SECONDS = 10.0
CLOCK_SECONDS = 4.0  # a clock that was set is noticed within five; looking costs nothing
MAX_ASKED_SECONDS = 600.0
FIRST_CONTACT_ATTEMPTS = 3
FIRST_CONTACT_SECONDS = 9.0  # ten for the user, who waits for our start and end too
REACHED_SECONDS = 60.0


class RetryPolicy(msgspec.Struct, frozen=True):
    """When a download is given up: when both are exhausted.

    Attributes:
        max_attempts: Consecutive attempts, in total, that brought no new byte.
        patience_seconds: Time since the last new byte; 0 lets attempts alone decide, infinity waits for ever.
    """

    max_attempts: int = 5
    patience_seconds: float = 600.0


class Wait(msgspec.Struct, frozen=True):
    """Try again after `seconds`.

    Attributes:
        seconds: 0 means at once.
        cause: What failed.
        attempts: Consecutive attempts so far that brought no new byte.
    """

    seconds: float
    cause: HeadwayError
    attempts: int


class GiveUp(msgspec.Struct, frozen=True):
    """Do not try again; `error` is what to report."""

    error: HeadwayError


class Retries:
    """Counts the failures of one piece of work and decides on each.

    Args:
        policy: May be replaced while the work is under way.
        now: Monotonic time at the start, in seconds.
        jitter: Returns a number from 0 up to 1; spreads the retries of many machines.
    """

    def __init__(self, policy: RetryPolicy, *, now: float, jitter: Callable[[], float]) -> None:
        self.policy = policy
        self.attempts = 0
        self._delays = 0
        self._last_progress = now
        self._jitter = jitter

    def progressed(self, new_bytes: int, *, flowed_bytes: int, seconds: float, now: float) -> None:
        """Report one attempt's flow.

        Args:
            new_bytes: Bytes that were not held before.
            flowed_bytes: All bytes of the body, those that were held too.
            seconds: How long they flowed.
            now: Monotonic time, in seconds.
        """
        if new_bytes > 0:
            self.attempts = 0
            self._last_progress = now
        if flowed_bytes >= FLOW_BYTES or (flowed_bytes > 0 and seconds >= FLOW_SECONDS):
            self._delays = 0

    def failed(self, error: HeadwayError, *, now: float, brought_bytes: bool = False) -> Wait | GiveUp:
        """Report that an attempt failed, and decide.

        Args:
            error: Why.
            now: Monotonic time, in seconds.
            brought_bytes: Whether the attempt brought a new byte before it failed; then it does not count.
        """
        if not error.retryable:
            return GiveUp(error)
        if not brought_bytes and not isinstance(error, HeldBackError):
            self.attempts += 1
        patient = now - self._last_progress < self.policy.patience_seconds
        if self.is_out_of_attempts and not patient:
            return GiveUp(GaveUpError(self.attempts, error))
        return Wait(self._delay(error), error, self.attempts)

    @property
    def is_out_of_attempts(self) -> bool:
        """Whether as many attempts as may be have brought nothing; patience may still be left."""
        return self.attempts >= self.policy.max_attempts

    def unless_too_long(self, decision: Wait | GiveUp, *, now: float) -> Wait | GiveUp:
        """Return what was decided; it is to give up where the wait outlasts both the patience and ten minutes.

        Only a registry asks for one so long.
        """
        left = self._last_progress + self.policy.patience_seconds - now
        if isinstance(decision, Wait) and decision.seconds > max(left, MAX_ASKED_SECONDS):
            return GiveUp(decision.cause)
        return decision

    def _delay(self, error: HeadwayError) -> float:
        if asked := _asked_seconds(error):
            return asked
        if isinstance(error, UnreachableError) and error.fault is Fault.CLOCK:
            return CLOCK_SECONDS
        step = self._delays
        self._delays += 1
        if isinstance(error, ThrottledError):
            step = max(step, 1)
        # Up to a quarter of jitter, downwards: the stated rhythm is the longest one.
        return min(MAX_DELAY_SECONDS, DELAY_STEP_SECONDS * step) * (1 - self._jitter() / 4)


class FirstContact:
    """Tries before a registry has answered at all: three within ten seconds, since a typo must not wait.

    Args:
        now: Monotonic time at the start, in seconds.
    """

    def __init__(self, *, now: float) -> None:
        self._started = now
        self._attempts = 0

    def excuse(self, seconds: float) -> None:
        """Leave out the time that went to somebody else: a mirror that did not answer."""
        self._started += seconds

    def seconds_left(self, *, now: float) -> float:
        """Return how long the attempts may still take in all."""
        return max(0.0, self._started + FIRST_CONTACT_SECONDS - now)

    def seconds_left_where_reached(self, *, now: float) -> float:
        """Return how long an attempt may take that has reached somebody: no typo, but a slow link or a silent port."""
        return max(0.0, self._started + REACHED_SECONDS - now)

    def failed(self, error: HeadwayError, *, now: float, reached: bool = False) -> Wait | GiveUp:
        """Report that an attempt failed, and decide; a name that a working name server does not know is final.

        Args:
            error: Why.
            now: Monotonic time, in seconds.
            reached: Whether a connection was made all the same.
        """
        self._attempts += 1
        delay = float(self._attempts)
        late = now + delay - self._started > (REACHED_SECONDS if reached else FIRST_CONTACT_SECONDS) - 1
        unknown = isinstance(error, UnreachableError) and error.fault is Fault.UNKNOWN_NAME
        if not error.retryable or unknown or self._attempts >= FIRST_CONTACT_ATTEMPTS or late:
            return GiveUp(error)
        return Wait(delay, error, self._attempts)


def is_outage(error: HeadwayError) -> bool:
    """Tell whether a first contact that failed so may be waited for: it was no typo.

    Either somebody answered and was busy, or this machine has no link at the moment.
    """
    if isinstance(error, UnreachableError):
        return error.fault in (Fault.NO_ROUTE, Fault.NO_DNS, Fault.CLOCK)
    return isinstance(error, ThrottledError | UnavailableError)


def _asked_seconds(error: HeadwayError) -> float:
    """Return how long the registry asked to wait; 0 says nothing, and is no leave to ask without a pause."""
    if not isinstance(error, ThrottledError | UnavailableError):
        return 0.0
    return error.wait_seconds or error.retry_after_seconds or 0.0
