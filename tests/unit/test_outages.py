"""When to look whether a place is back, and what a look found."""

from __future__ import annotations

import asyncio

import pytest

from headway.distribution.outages import LEAST_SECONDS, MOST_SECONDS, Outages, Place
from headway.errors import Fault, HeadwayError, ThrottledError, UnreachableError
from headway.service.transfers.lookout import Lookout

PLACE = ("registry.test", 443)
MIRROR = ("mirror.test", 443)


@pytest.mark.parametrize(
    ("away_seconds", "pause"),
    [(0.0, LEAST_SECONDS), (16.0, 1.0), (80.0, 5.0), (240.0, MOST_SECONDS), (1e6, MOST_SECONDS)],
)
def test_the_longer_a_place_is_away_the_more_seldom_it_is_looked_for(away_seconds: float, pause: float) -> None:
    outages = Outages()
    outages.failed(PLACE, now=100.0)
    now = 100.0 + away_seconds

    outages.failed(PLACE, now=now)

    due = [outages.is_look_due(PLACE, now=now + seconds) for seconds in (pause - 0.1, pause)]
    assert due == [False, True]


def test_a_connection_ends_an_outage_and_the_next_one_begins_anew() -> None:
    outages = Outages()
    outages.failed(PLACE, now=0.0)
    outages.worked(PLACE)

    assert not outages.is_away(PLACE)
    assert not outages.is_look_due(PLACE, now=1000.0)
    outages.failed(PLACE, now=1000.0)
    assert outages.is_away(PLACE)
    assert outages.is_look_due(PLACE, now=1000.0 + LEAST_SECONDS)


def test_places_are_told_apart_by_host_and_port() -> None:
    outages = Outages()

    outages.failed(PLACE, now=0.0)

    assert not outages.is_away(("registry.test", 5000))


# --- who waits ----------------------------------------------------------------------------------------------------


def away(place: Place = PLACE) -> UnreachableError:
    """Return the error of a connection that could not be made."""
    error = UnreachableError(place[0], Fault.REFUSED)
    error.unconnected = place
    return error


class Scene:
    """Waiting for places that are away, on a clock that only a wait moves on; looks find them away at first."""

    def __init__(self) -> None:
        self.outages = Outages()
        self.now = 0.0
        self.looks: list[Place] = []
        self.up: set[Place] = set()
        self.lookout = Lookout(self.outages, self._look, clock=lambda: self.now)
        for place in (PLACE, MIRROR):
            self.outages.failed(place, now=0.0)

    def _look(self, place: Place) -> None:
        self.looks.append(place)
        if place in self.up:
            self.outages.worked(place)
        else:
            self.outages.failed(place, now=self.now)

    async def wait(self, *errors: HeadwayError, at: float) -> HeadwayError | None:
        """Wait for half a second that begins at a time."""

        def end() -> None:
            self.now = at + 0.5

        self.now = at
        asyncio.get_running_loop().call_later(0.05, end)
        return await self.lookout.pause(0.5, errors)


def test_who_waits_has_it_looked_for_when_that_is_due_and_hears_that_it_is_back() -> None:
    async def story() -> None:
        scene = Scene()
        scene.up.add(PLACE)
        error = away()

        assert await scene.wait(error, at=0.4) is None
        assert scene.looks == []
        assert await scene.wait(error, at=1.0) is error
        assert scene.looks == [PLACE]

    asyncio.run(story())


def test_all_who_wait_for_a_place_share_one_look() -> None:
    async def story() -> None:
        scene = Scene()
        assert await asyncio.gather(*[scene.wait(away(), at=5.0) for _ in range(8)]) == [None] * 8

        assert scene.looks == [PLACE]

    asyncio.run(story())


def test_somebody_elses_connection_ends_the_wait_too() -> None:
    async def story() -> None:
        scene = Scene()
        scene.outages.worked(PLACE)

        assert await scene.wait(away(), at=0.1) is not None
        assert scene.looks == []

    asyncio.run(story())


@pytest.mark.parametrize("back", [MIRROR, PLACE])
def test_who_waits_for_several_has_all_of_them_looked_for_and_hears_which_is_back(back: Place) -> None:
    async def story() -> None:
        scene = Scene()
        scene.up.add(back)
        errors = {MIRROR: away(MIRROR), PLACE: away(PLACE)}

        assert await scene.wait(*errors.values(), at=1.0) is errors[back]
        assert sorted(scene.looks) == [MIRROR, PLACE]

    asyncio.run(story())


@pytest.mark.parametrize(
    "error", [UnreachableError("registry.test", Fault.CUT), ThrottledError("registry.test", None)], ids=str
)
def test_where_a_connection_was_made_nothing_is_looked_for_and_the_wait_is_kept(error: HeadwayError) -> None:
    async def story() -> None:
        scene = Scene()

        assert await scene.wait(error, at=100.0) is None
        assert scene.looks == []

    asyncio.run(story())
