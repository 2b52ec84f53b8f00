"""Layers of one pull that are made to survive a power cut together.

Each sync writes what all layers have on their way, blobs included that are gone a moment later: one sync for many
layers writes less, and the pull has to wait for the last of them in any case.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Companions:
    """The layers of one pull."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._coming: set[Companion] = set()

    @contextmanager
    def coming(self) -> Iterator[Companion]:
        """Have a layer counted as coming until it is whole, or the block is left."""
        companion = Companion(self)
        with self._changed:
            self._coming.add(companion)
        try:
            yield companion
        finally:
            companion.leave()

    def left(self, companion: Companion) -> None:
        """Wait for one no longer; again does nothing."""
        with self._changed:
            self._coming.discard(companion)
            if not self._coming:  # sooner, all who wait would wake only to wait on
                self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until none is coming any more, at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._coming, seconds)


class Companion:
    """One layer among `Companions`; any thread may use it."""

    def __init__(self, companions: Companions) -> None:
        self._companions = companions

    def leave(self) -> None:
        """Be waited for no longer; again does nothing."""
        self._companions.left(self)

    def wait(self, seconds: float) -> None:
        """Wait, being whole, for those that are still coming, at most so long."""
        self.leave()
        self._companions.wait(seconds)
