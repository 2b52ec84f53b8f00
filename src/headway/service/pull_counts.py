"""What pulls of this process have come to, counted since it began."""

from __future__ import annotations

from collections import Counter

from headway.distribution.pull_states import PullState
from headway.service.progress import Receipt


class PullCounts:
    """Counters.

    Attributes:
        ended: Pulls by the state that they ended in.
        reused: Bytes that complete pulls found here already.
    """

    def __init__(self) -> None:
        self.ended: Counter[PullState] = Counter({state: 0 for state in PullState if state.has_ended})
        self.reused = 0

    def has_ended(self, state: PullState, receipt: Receipt | None) -> None:
        """Take note of a pull's end."""
        self.ended[state] += 1
        if receipt is not None:
            self.reused += receipt.here
