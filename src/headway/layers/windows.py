"""Memory for looking back: what the decoders of all layers that are unpacked at once may take of it together.

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


class Windows:
    """What the layers of one process share.

    Args:
        limit: In bytes, beside those that are `FREE`.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._held = 0
        self._waiting: deque[object] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for memory."""
        return len(self._waiting)

    @contextmanager
    def share(self, source: TarSource) -> Iterator[Reserve]:
        """Give what reserves for one layer; its window is given back behind the block.

        What reserves later raises InterruptedError: a thread that still expands what nobody wants any more.

        Args:
            source: The layer's. One that is `Patient` is told when there is no memory.
        """
        share = _Share(self, source)
        try:
            yield share.reserve
        finally:
            share.end()

    def take(self, window: int, source: TarSource, has_ended: Callable[[], bool]) -> None:
        """Wait for the memory of a window.

        Args:
            window: In bytes.
            source: See `share`.
            has_ended: Whether it is wanted no longer; `look_again` makes it known.

        Raises:
            WindowTooLargeError: There will never be so much.
            InterruptedError: It is not wanted any more, or the source was stopped.
        """
        if window > self._limit:
            raise WindowTooLargeError(window, self._limit)
        turn = object()
        with self._changed:
            self._waiting.append(turn)

        def is_there(seconds: float | None) -> bool:
            with self._changed:
                self._changed.wait_for(lambda: has_ended() or self._may_take(turn, window), seconds)
                if has_ended():
                    raise InterruptedError("the layer is not unpacked any more")
                if not self._may_take(turn, window):
                    return False
                self._waiting.popleft()
                self._held += window
                self._changed.notify_all()
                return True

        try:
            if not is_there(0):
                if isinstance(source, Patient):
                    source.outwait(is_there)
                else:
                    is_there(None)
        finally:
            with self._changed, suppress(ValueError):  # it is there still where the wait was given up
                self._waiting.remove(turn)
                self._changed.notify_all()

    def _may_take(self, turn: object, window: int) -> bool:
        return self._waiting[0] is turn and self._held + window <= self._limit

    def look_again(self) -> None:
        """Have those who wait find out who has ended."""
        with self._changed:
            self._changed.notify_all()

    def give_back(self, window: int) -> None:
        """Let others have the memory of a window."""
        with self._changed:
            self._held -= window
            self._changed.notify_all()


class _Share:
    """What one layer has of them."""

    def __init__(self, windows: Windows, source: TarSource) -> None:
        self._windows = windows
        self._source = source
        self._lock = threading.Lock()
        self._held = 0
        self._has_ended = False

    def reserve(self, window: int) -> None:
        """See `Reserve`."""
        self._hold(0)
        if window > FREE:
            self._windows.take(window, self._source, lambda: self._has_ended)
            self._hold(window)
        if self._has_ended:
            raise InterruptedError("the layer is not unpacked any more")

    def end(self) -> None:
        """Give back what is held, and wait for no more."""
        self._has_ended = True
        self._hold(0)
        self._windows.look_again()

    def _hold(self, window: int) -> None:
        """Hold this instead of what was held before."""
        with self._lock:
            before, self._held = self._held, 0 if self._has_ended else window
            unwanted = window - self._held
        if before + unwanted:
            self._windows.give_back(before + unwanted)
