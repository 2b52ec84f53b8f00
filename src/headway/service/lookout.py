"""Looks, while somebody waits for what could not be connected to, whether it can be again."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from headway.distribution.outages import Outages, Place
from headway.errors import HeadwayError, UnreachableError
from headway.service.lanes import Thread


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

    def is_back(self, error: HeadwayError) -> bool:
        """Tell whether what this error is about can be connected to again; to be asked every second or so.

        False as well where a connection is not what was missing: that it can be made says nothing then.
        """
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
