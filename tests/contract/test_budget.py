"""What is done within a budget of bytes."""

from __future__ import annotations

import asyncio

import pytest

from headway.errors import NotFoundError, OverBudgetError
from headway.service.limits.budget import Budget


class Meter:
    """Shows what the test says."""

    received_bytes = 0


async def test_what_fails_within_a_budget_fails_as_it_would_without_one() -> None:
    error = NotFoundError("blob", "b")

    async def fail() -> None:
        async with Budget(Meter(), 100).kept():
            raise error

    with pytest.raises(NotFoundError) as raised:
        await fail()

    assert raised.value is error


async def test_who_is_cancelled_within_a_budget_is_cancelled() -> None:
    async def work() -> None:
        async with Budget(Meter(), 100).kept():
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await work()


async def test_who_has_spent_a_budget_stands_still_until_its_errand_is_stopped() -> None:
    meter, asked = Meter(), 0
    budget = Budget(meter, 100)

    def is_over() -> bool:
        nonlocal asked
        asked += 1
        return asked == 3

    budget.wait(is_over=is_over)
    meter.received_bytes = 101

    async def work() -> None:
        async with budget.kept():
            budget.wait(is_over=is_over)
            await asyncio.sleep(60)

    with pytest.raises(OverBudgetError):
        await work()
    budget.wait(is_over=is_over)

    assert asked == 3


async def test_what_spends_the_budget_is_stopped() -> None:
    meter = Meter()

    async def work() -> None:
        async with Budget(meter, 100).kept():
            meter.received_bytes = 101
            await asyncio.sleep(60)

    with pytest.raises(OverBudgetError):
        await work()
