"""Layers of one pull that are made to survive a power cut together.

Each sync writes what all layers have on their way, blobs included that are gone a moment later: one sync for many
layers writes less, and the pull has to wait for the last of them in any case.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SyncGroup:
    """The layers of one pull."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._coming: set[SyncMember] = set()

    @contextmanager
    def coming(self) -> Iterator[SyncMember]:
        """Have a layer counted as coming until it is whole, or the block is left."""
        member = SyncMember(self)
        with self._changed:
            self._coming.add(member)
        try:
            yield member
        finally:
            member.leave()

    def left(self, member: SyncMember) -> None:
        """Wait for one no longer; again does nothing."""
        with self._changed:
            self._coming.discard(member)
            if not self._coming:  # sooner, all who wait would wake only to wait on
                self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until none is coming any more, at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._coming, seconds)


class SyncMember:
    """One layer among `SyncGroup`; any thread may use it."""

    def __init__(self, sync_group: SyncGroup) -> None:
        self._companions = sync_group

    def leave(self) -> None:
        """Be waited for no longer; again does nothing."""
        self._companions.left(self)

    def wait(self, seconds: float) -> None:
        """Wait, being whole, for those that are still coming, at most so long."""
        self.leave()
        self._companions.wait(seconds)
