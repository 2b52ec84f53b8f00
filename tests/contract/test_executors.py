"""Where blocking work runs."""

from __future__ import annotations

import asyncio
import time

import pytest

from headway.service.concurrency.executors import Executors


@pytest.fixture
def executors() -> Executors:
    return Executors(1)


async def test_what_has_to_be_undone_is_got_though_time_is_up(executors: Executors) -> None:
    got: list[str] = []

    def open_slowly() -> str:
        time.sleep(0.05)
        return "open"

    async def open_within_a_moment() -> None:
        async with asyncio.timeout(0.01):
            got.append(await executors.disk_to_the_end(open_slowly))
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):  # and not a cancellation, which nobody asked for
        await open_within_a_moment()

    assert got == ["open"]
    executors.close()
