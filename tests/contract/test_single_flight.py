"""Work that is shared by all who wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from headway.errors import NotFoundError
from headway.service.concurrency import single_flight
from headway.service.concurrency.single_flight import SingleFlight

Report = Callable[[str], None]


def ignore(_: str) -> None:
    """Hear nothing."""


@pytest.mark.parametrize("error", [NotFoundError("blob", "b"), RuntimeError("can't start new thread")])
async def test_what_fails_fails_for_all_who_wait_and_for_nobody_else(error: Exception) -> None:
    async def fail(_: Report) -> str:
        await asyncio.sleep(0)
        raise error

    async def work(_: Report) -> str:
        await asyncio.sleep(0.01)
        return "done"

    async with asyncio.TaskGroup() as group:
        flights: SingleFlight[str, str] = SingleFlight(group)
        failed = [flights.join("a", fail, ignore), flights.join("a", fail, ignore)]
        outcomes = await asyncio.gather(*failed, flights.join("b", work, ignore), return_exceptions=True)

        assert outcomes == [error, error, ("done", True)]
        assert await flights.join("a", work, ignore) == ("done", True)


async def test_of_all_who_wait_the_first_one_began_it() -> None:
    async def work(_: Report) -> str:
        await asyncio.sleep(0)
        return "done"

    async with asyncio.TaskGroup() as group:
        flights: SingleFlight[str, str] = SingleFlight(group)
        outcomes = await asyncio.gather(*(flights.join("a", work, ignore) for _ in range(3)))

    assert outcomes == [("done", True), ("done", False), ("done", False)]


async def test_who_joins_what_is_ending_gets_it_afresh() -> None:
    begun: list[str] = []

    async def linger(_: Report) -> str:
        begun.append("first")
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
        return "never"

    async def work(_: Report) -> str:
        begun.append("second")
        return "done"

    async with asyncio.TaskGroup() as group:
        flights: SingleFlight[str, str] = SingleFlight(group)
        leaving = group.create_task(flights.join("a", linger, ignore))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)

        assert await flights.join("a", work, ignore) == ("done", True)
    assert begun == ["first", "second"]


async def test_who_leaves_last_is_gone_when_the_work_has_ended_and_others_at_once() -> None:
    ended: list[str] = []
    heard: list[tuple[int, str]] = []

    async def linger(report: Report) -> str:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            ended.append("work")
            report("the end")
        return "never"

    async with asyncio.TaskGroup() as group:
        flights: SingleFlight[str, str] = SingleFlight(group)
        hear = [lambda said, number=number: heard.append((number, said)) for number in range(2)]
        leaving = [group.create_task(flights.join("a", linger, each)) for each in hear]
        await asyncio.sleep(0.001)
        for number, each in enumerate(leaving):
            each.cancel()
            await asyncio.wait({each})
            ended.append(f"listener {number}")

    assert ended == ["listener 0", "work", "listener 1"]
    assert heard == [(1, "the end")]


async def test_who_leaves_last_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_flight, "END_SECONDS", 0.01)
    may_end = asyncio.Event()

    async def linger(_: Report) -> str:
        try:
            await asyncio.sleep(60)
        finally:
            await may_end.wait()
        return "never"

    async with asyncio.TaskGroup() as group:
        flights: SingleFlight[str, str] = SingleFlight(group)
        leaving = group.create_task(flights.join("a", linger, ignore))
        await asyncio.sleep(0.001)
        leaving.cancel()
        await asyncio.wait({leaving}, timeout=5)
        has_left = leaving.done()
        may_end.set()

    assert has_left


async def test_what_failed_in_anothers_way_is_tried_in_ones_own() -> None:
    refused = NotFoundError("blob", "b")
    begun: list[str] = []

    async def fail(_: Report) -> str:
        begun.append("theirs")
        await asyncio.sleep(0)
        raise refused

    async def work(_: Report) -> str:
        begun.append("own")
        return "done"

    async with asyncio.TaskGroup() as group:
        flights: SingleFlight[str, str] = SingleFlight(group)
        outcomes = await asyncio.gather(
            flights.join("a", fail, ignore, way="their registry"),
            flights.join("a", fail, ignore, way="their registry"),
            flights.join("a", work, ignore, way="our registry"),
            return_exceptions=True,
        )

    assert list(outcomes) == [refused, refused, ("done", True)]
    assert begun == ["theirs", "own"]
