"""How long something was in each state."""

from __future__ import annotations

from collections.abc import Callable

from headway.distribution.pull_states import PullState
from headway.interfaces.pulls import PullCost


class StateTimes:
    """Adds up the time that a pull spends in each state, and that in which it receives.

    Args:
        before: What was counted before.
        clock: Seconds since the epoch; they count only what passed while no process counted.
        ticks: Seconds that nobody sets: machines without a battery learn the time in the middle of a pull.
        is_stopped: Whether the state lasted while no process counted, too.

    Attributes:
        receiving_seconds: How long layers were being received.
        counted: Until when time was counted, seconds since the epoch.
    """

    def __init__(
        self, before: PullCost, clock: Callable[[], float], ticks: Callable[[], float], *, is_stopped: bool
    ) -> None:
        self._seconds: dict[PullState, float] = dict(before.seconds)
        self.receiving_seconds = before.receiving_seconds
        self.counted = (is_stopped and before.counted) or clock()
        self._clock = clock
        self._ticks = ticks
        self._ticked = ticks() - max(0.0, clock() - self.counted)

    @property
    def seconds(self) -> dict[PullState, float]:
        """Seconds by state, to the millisecond."""
        return {state: round(spent, 3) for state, spent in self._seconds.items() if spent >= 0.001}

    def pass_in(self, state: PullState, *, is_receiving: bool) -> None:
        """Count the time since the last call as spent in a state."""
        now = self._ticks()
        passed = now - self._ticked
        self.counted, self._ticked = self._clock(), now
        self._seconds[state] = self._seconds.get(state, 0.0) + passed
        if is_receiving:
            self.receiving_seconds += passed
