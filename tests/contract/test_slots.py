"""How many transfers run at once."""

from __future__ import annotations

import asyncio

from headway.service.concurrency.slots import Slots


async def settle() -> None:
    """Let every task come to where it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


class Crowd:
    """Some who want a slot.

    Args:
        slots: Where.
        group: Owns their tasks.
    """

    def __init__(self, slots: Slots, group: asyncio.TaskGroup, count: int) -> None:
        self.running: list[int] = []
        self.leave = [asyncio.Event() for _ in range(count)]
        self.tasks = [group.create_task(self._live(slots, number)) for number in range(count)]

    async def _live(self, slots: Slots, number: int) -> None:
        async with slots.slot():
            self.running.append(number)
            await self.leave[number].wait()
            self.running.remove(number)


async def test_first_come_is_first_served_up_to_the_limit() -> None:
    async with asyncio.TaskGroup() as group:
        crowd = Crowd(Slots(2), group, 4)
        await settle()
        assert crowd.running == [0, 1]

        crowd.leave[1].set()
        await settle()

        assert crowd.running == [0, 2]
        for event in crowd.leave:
            event.set()


async def test_who_has_no_room_on_the_link_waits_until_it_is_looked_again() -> None:
    room = 1
    async with asyncio.TaskGroup() as group:
        slots = Slots(3, lambda: room)
        crowd = Crowd(slots, group, 4)
        await settle()
        assert crowd.running == [0]

        room = 100
        slots.look_again()
        await settle()

        assert crowd.running == [0, 1, 2]
        for event in crowd.leave:
            event.set()


async def test_a_thin_link_makes_nobody_wait_who_is_on_another() -> None:
    slots = Slots(3, lambda: 1)
    running: list[str] = []

    async def come(link: str) -> None:
        async with slots.slot(link):
            running.append(link)
            await asyncio.sleep(1000)

    async with asyncio.TaskGroup() as group:
        links = ("satellite.example", "satellite.example", "aboard.example", "aboard.example")
        tasks = [group.create_task(come(link)) for link in links]
        await settle()
        at_first = list(running)
        tasks[0].cancel()
        await settle()
        for task in tasks:
            task.cancel()

    assert at_first == ["satellite.example", "aboard.example"]
    assert running == [*at_first, "satellite.example"]


async def test_a_raised_limit_lets_the_next_in_at_once() -> None:
    async with asyncio.TaskGroup() as group:
        slots = Slots(1)
        crowd = Crowd(slots, group, 2)
        await settle()

        slots.set_limit(2)
        await settle()

        assert crowd.running == [0, 1]
        for event in crowd.leave:
            event.set()


async def test_who_stops_waiting_takes_nobodys_place() -> None:
    async with asyncio.TaskGroup() as group:
        crowd = Crowd(Slots(1), group, 3)
        await settle()
        crowd.tasks[1].cancel()
        await settle()

        crowd.leave[0].set()
        await settle()

        assert crowd.running == [2]
        crowd.leave[2].set()


async def test_who_waits_for_one_link_holds_up_nobody_on_another() -> None:
    slots = Slots(1)
    running: list[str] = []

    async def come(link: str) -> None:
        async with slots.slot(link):
            running.append(link)
            await asyncio.sleep(1000)

    async with asyncio.TaskGroup() as group, slots.slot("gone.example") as slot:
        tasks = [group.create_task(come(link)) for link in ("gone.example", "there.example", "there.example")]
        await settle()
        before = list(running)
        slot.waits(is_waiting=True)
        await settle()
        meanwhile = list(running)
        slot.waits(is_waiting=False)
        tasks[1].cancel()
        await settle()
        after = list(running)
        slot.release()
        await settle()
        for task in tasks:
            task.cancel()

    assert (before, meanwhile, after) == ([], ["there.example"], ["there.example"])
    assert running == ["there.example", "gone.example"]
