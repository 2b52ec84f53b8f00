"""Limits the memory that the decompression windows of all layers being unpacked may take together.

Rule 1: a window of up to 8 MiB is free: that is what compressors take unless they are told otherwise.
Rule 2: larger ones have one limit in common. Who comes when it is used up waits, and the first one comes first.
Rule 3: what is larger than the limit is refused, with the name of the setting that allows more.
Rule 4: who waits holds none: a stream whose next part looks back further gives back what it had.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from headway.errors import WindowTooLargeError
from headway.interfaces.files import Patient, TarSource
from headway.layers.available_memory import available_memory

FREE = 8 << 20
"""Bytes of a window that nobody has to wait for."""

DEFAULT_LIMIT = 128 << 20
"""Bytes of all larger ones: one of the largest that is accepted at all (`decoders.LARGEST_WINDOW`)."""

Reserve = Callable[[int], None]
"""Takes the bytes of a window before a decoder does; what was taken before is given back."""


def free(window: int) -> None:
    """Reserve nothing; this is a `Reserve`, for who unpacks one stream."""
    del window


def default_limit() -> int:
    """Return how many bytes windows may have where nobody has said: never more than half of what this process may."""
    return min(DEFAULT_LIMIT, available_memory() // 2)


class _Share:
    """What one layer has of them; one thread at a time reserves for it, and any ends it."""

    def __init__(self) -> None:
        self.held = 0
        self.has_ended = False


class Windows:
    """What the layers of one process share.

    Args:
        limit: In bytes, beside those that are `FREE`; None for `default_limit`.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = default_limit() if limit is None else limit
        self._changed = threading.Condition()
        self._held = 0
        self._waiting: deque[_Share] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for memory."""
        return len(self._waiting)

    @contextmanager
    def share(self, source: TarSource) -> Iterator[Reserve]:
        """Give what reserves for one layer; its window is given back behind the block.

        It raises WindowTooLargeError where there will never be so much, and InterruptedError where the source was
        stopped or the block was left: in a thread that still expands what nobody wants any more.

        Args:
            source: The layer's. One that is `Patient` is told when there is no memory.
        """
        share = _Share()
        try:
            yield partial(self._reserve, share, source)
        finally:
            with self._changed:
                share.has_ended = True
                self._give_back(share)

    def _reserve(self, share: _Share, source: TarSource, window: int) -> None:
        if window > max(FREE, self._limit):
            raise WindowTooLargeError(window, self._limit)
        with self._changed:
            self._give_back(share)
            self._waiting.append(share)
        try:
            take = partial(self._take, share, window if window > FREE else 0)
            if not take(0):
                if isinstance(source, Patient):
                    source.outwait(take)
                else:
                    take(None)
        finally:
            with self._changed, suppress(ValueError):  # it is there still where the wait was given up
                self._waiting.remove(share)
                self._changed.notify_all()

    def _take(self, share: _Share, window: int, seconds: float | None) -> bool:
        """Wait so long, None for ever, until a window is to be had; tell whether it is, and taken."""
        with self._changed:
            if not self._changed.wait_for(lambda: share.has_ended or self._may_take(share, window), seconds):
                return False
            if share.has_ended:
                raise InterruptedError("the layer is not unpacked any more")
            self._waiting.remove(share)
            self._held += window
            share.held = window
            self._changed.notify_all()
            return True

    def _may_take(self, share: _Share, window: int) -> bool:
        return not window or (self._waiting[0] is share and self._held + window <= self._limit)

    def _give_back(self, share: _Share) -> None:
        self._held -= share.held
        share.held = 0
        self._changed.notify_all()
