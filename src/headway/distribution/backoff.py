"""Decides whether to try again, and when (docs/architecture.md, "When a pull gives up").

Rule 1: attempts in a row without a new byte are counted; one new byte resets the count.
Rule 2: the delay grows like Docker's (5 seconds more each time), and is reset only after real flow.
Rule 3: the registry's ``Retry-After`` wins over both; a request that was not sent because of it is not an attempt.
Rule 4: an error that time does not mend is final at once.
Rule 5: a wait that outlasts both the patience and ten minutes is not begun: it is better to say when to come again.
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
CLOCK_SECONDS = 4.0  # so that a clock that was set is noticed within five seconds; looking costs nothing
MAX_ASKED_SECONDS = 600.0
FIRST_CONTACT_ATTEMPTS = 3
FIRST_CONTACT_SECONDS = 9.0  # ten for the user, including our start and end
REACHED_SECONDS = 60.0


class RetryPolicy(msgspec.Struct, frozen=True):
    """When a download is given up: when both attempts and patience are exhausted.

    Attributes:
        max_attempts: How many attempts in a row may bring no new byte.
        patience_seconds: Time since the last new byte; 0 lets the attempts alone decide, infinity waits for ever.
    """

    max_attempts: int = 5
    patience_seconds: float = 600.0


class Wait(msgspec.Struct, frozen=True):
    """Try again after `seconds`.

    Attributes:
        seconds: How long to wait; 0 for not at all.
        cause: The error of the last attempt.
        attempts: How many attempts in a row have brought no new byte.
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
        policy: The policy in force; may be replaced at any time.
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
        """Report the flow of one attempt.

        Args:
            new_bytes: Bytes that were not held before.
            flowed_bytes: All bytes of the body, including those that were held.
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
            error: The error of the attempt.
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
        """Whether the attempts are used up; patience may still be left."""
        return self.attempts >= self.policy.max_attempts

    def unless_too_long(self, decision: Wait | GiveUp, *, now: float) -> Wait | GiveUp:
        """Return `decision`, or `GiveUp` for a wait that outlasts both the patience and ten minutes.

        Only registries ask for waits that long.
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
        # Jitter only shortens a delay, by up to a quarter: the documented delays are the longest.
        return min(MAX_DELAY_SECONDS, DELAY_STEP_SECONDS * step) * (1 - self._jitter() / 4)


class FirstContact:
    """Decides on attempts before a registry has ever answered: three within ten seconds, as it may be a typo.

    Args:
        now: Monotonic time at the start, in seconds.
    """

    def __init__(self, *, now: float) -> None:
        self._started = now
        self._attempts = 0

    def excuse(self, seconds: float) -> None:
        """Do not count time that was spent on another endpoint, such as a mirror that did not answer."""
        self._started += seconds

    def seconds_left(self, *, now: float) -> float:
        """Return how long the attempts may still take in all."""
        return max(0.0, self._started + FIRST_CONTACT_SECONDS - now)

    def seconds_left_where_reached(self, *, now: float) -> float:
        """Return how long an attempt may take once it is connected.

        Such a server is no typo, but may be slow or silent.
        """
        return max(0.0, self._started + REACHED_SECONDS - now)

    def failed(self, error: HeadwayError, *, now: float, reached: bool = False) -> Wait | GiveUp:
        """Report that an attempt failed, and decide; a name that a working name server does not know is final.

        Args:
            error: The error of the attempt.
            now: Monotonic time, in seconds.
            reached: Whether a connection was made.
        """
        self._attempts += 1
        delay = float(self._attempts)
        late = now + delay - self._started > (REACHED_SECONDS if reached else FIRST_CONTACT_SECONDS) - 1
        unknown = isinstance(error, UnreachableError) and error.fault is Fault.UNKNOWN_NAME
        if not error.retryable or unknown or self._attempts >= FIRST_CONTACT_ATTEMPTS or late:
            return GiveUp(error)
        return Wait(delay, error, self._attempts)


def is_outage(error: HeadwayError) -> bool:
    """Tell whether to go on waiting after a first contact that failed with this error, as it cannot be a typo.

    Either a server answered and was busy, or this machine has no link at the moment.
    """
    if isinstance(error, UnreachableError):
        return error.fault in (Fault.NO_ROUTE, Fault.NO_DNS, Fault.CLOCK)
    return isinstance(error, ThrottledError | UnavailableError)


def _asked_seconds(error: HeadwayError) -> float:
    """Return how many seconds the registry asked to wait; 0 if it did not, which does not mean to ask at once."""
    if not isinstance(error, ThrottledError | UnavailableError):
        return 0.0
    return error.wait_seconds or error.retry_after_seconds or 0.0
