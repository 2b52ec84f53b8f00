"""The rate limit that all downloads of one process, or of one pull, share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from headway.distribution.rate_limit import RateLimit

BUFFERED_BYTES = 128 * 1024
_BUFFERED_SECONDS = 0.25
_LOOK_SECONDS = 0.1


class SharedRate:
    """A rate limit for threads.

    Args:
        rate: Bytes a second; 0 for no limit.
        clock: Returns monotonic time, in seconds.
        sleep: Waits for a number of seconds.
        over: A wider limit that holds as well; the lower of the two counts.
    """

    def __init__(
        self,
        rate: int = 0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        over: SharedRate | None = None,
    ) -> None:
        self._limit = RateLimit(rate or None)
        self._lock = threading.Lock()
        self._clock = clock
        self._sleep = sleep
        self._over = over

    @property
    def rate(self) -> float | None:
        """Bytes a second; None for no limit."""
        rates = (self._limit.rate, None if self._over is None else self._over.rate)
        return min((rate for rate in rates if rate is not None), default=None)

    def set(self, rate: int) -> None:
        """Change the rate; 0 is no limit."""
        with self._lock:
            self._limit.change(rate or None, now=self._clock())

    def prepay(self, wanted: int, *, is_over: Callable[[], bool] = lambda: False) -> int:
        """Wait before a request, for the bytes that buffers will hold unread; return how many bytes are paid for.

        Otherwise many requests at once would each fill a buffer at once.

        Args:
            wanted: How many bytes the request is for.
            is_over: As for `wait`.
        """
        rate = self.rate
        if rate is None:
            return 0
        count = min(wanted, BUFFERED_BYTES, int(rate * _BUFFERED_SECONDS))
        self.wait(count, is_over=is_over)
        return count

    def wait(self, count: int, *, is_over: Callable[[], bool] = lambda: False) -> None:
        """Wait after `count` bytes were received until more may be.

        Args:
            count: How many.
            is_over: Called while it waits; tells whether nobody wants more of them.
        """
        with self._lock:
            known = self._limit.rate
            due = self._clock() + self._limit.took(count, now=self._clock())
        while (left := due - self._clock()) > 0 and (rate := self._limit.rate) is not None and not is_over():
            if known is not None and rate != known:
                left, known = left * known / rate, rate
                due = self._clock() + left
            self._sleep(min(_LOOK_SECONDS, left))
        if self._over is not None:
            self._over.wait(count, is_over=is_over)
