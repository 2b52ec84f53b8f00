"""While transfers wait for a place that cannot be connected to, looks from time to time whether it can be again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial

from headway.distribution.outages import Outages, Place
from headway.errors import HeadwayError, UnreachableError
from headway.service.concurrency.executors import Thread

_POLL_SECONDS = 0.2


class Lookout:
    """Looks on behalf of all that wait in a process: one look at a place at a time.

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

    async def pause(self, seconds: float, errors: Sequence[HeadwayError]) -> HeadwayError | None:
        """Wait `seconds`, or until the place of one of `errors` can be connected to again; return that error.

        An error that is not about a missing connection is waited out: being able to connect says nothing of it.
        """
        places = {e.unconnected: e for e in errors if isinstance(e, UnreachableError) and e.unconnected is not None}
        until = self._clock() + seconds
        # Threads report to `outages`, which knows no event loop to wake anybody in.
        while (back := self._one_back(places)) is None and (left := until - self._clock()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(_POLL_SECONDS, left))
        return places[back] if back is not None else None

    def _one_back(self, places: Collection[Place]) -> Place | None:
        for place in places:
            if not self._outages.is_away(place):
                return place
            if place not in self._looking and self._outages.is_look_due(place, now=self._clock()):
                self._begin_look(place)
        return None

    def _begin_look(self, place: Place) -> None:
        with suppress(RuntimeError):  # there is no thread to be had: the wait ends by itself
            looking = Thread(partial(self._look, place), abort=lambda: None, name="look")
            self._looking.add(place)
            looking.done.add_done_callback(lambda _: self._looking.discard(place))
