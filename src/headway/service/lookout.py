"""Looks, while somebody waits for what could not be connected to, whether it can be again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from headway.distribution.outages import Outages, Place
from headway.errors import HeadwayError, UnreachableError
from headway.service.lanes import Thread

_POLL_SECONDS = 0.2


class Lookout:
    """Looks for all of a process who wait: at one place once at a time.

    Args:
        outages: What is away, and when to look for it.
        look: Looks, blocking, and reports to `outages`.
        clock: Monotonic time, in seconds, as connections tell it to `outages`.
    """

    def __init__(
        self, outages: Outages, look: Callable[[Place], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._outages = outages
        self._look = look
        self._clock = clock
        self._looking: set[Place] = set()

    async def pause(self, seconds: float, error: HeadwayError) -> bool:
        """Wait for so long, or until what this error is about can be connected to again; tell whether it can.

        Where a connection is not what was missing, all of the time is waited: that one can be made says nothing then.
        """
        until = self._clock() + seconds
        # Threads report to `outages`, which knows no event loop to wake anybody in.
        while not (is_back := self._is_back(error)) and (left := until - self._clock()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(_POLL_SECONDS, left))
        return is_back

    def _is_back(self, error: HeadwayError) -> bool:
        place = error.unconnected if isinstance(error, UnreachableError) else None
        if place is None:
            return False
        if not self._outages.is_away(place):
            return True
        if place not in self._looking and self._outages.is_look_due(place, now=self._clock()):
            with suppress(RuntimeError):  # there is no thread to be had: the wait ends by itself
                looking = Thread(partial(self._look, place), abort=lambda: None, name="look")
                self._looking.add(place)
                looking.done.add_done_callback(lambda _: self._looking.discard(place))
        return False
