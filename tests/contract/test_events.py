"""Telling what happened, and listening to it: with the log in memory and with the one on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.interfaces.events import EventLog
from headway.oci.digest import ChainID, Digest, ImageID
from headway.records import ImageRecord
from headway.service.events.event_query import EventQuery
from headway.service.events.events import Events
from headway.service.events.listening import Heard, Listener, listen
from headway.service.queries.moments import SECOND
from headway.store.database.database import Database
from headway.store.events import SqliteEventLog
from tests.fakes.events import MemoryEventLog

EVERYTHING = EventQuery()
IMAGE = ImageRecord(
    image_id=ImageID(Digest.of(b"image")),
    created="",
    size=0,
    platform="linux/amd64",
    chain_id=ChainID(Digest.of(b"chain")),
    labels={"stage": "test", "name": "of the label"},
)


@pytest.fixture(params=["memory", "disk"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventLog]:
    if request.param == "memory":
        yield MemoryEventLog(history=10)
        return
    with Database.open(tmp_path / "headway.db") as database:
        yield SqliteEventLog(database, history=10)


@pytest.fixture
def events(log: EventLog) -> Events:
    ticks = iter(range(1_000 * SECOND, 10**15, SECOND))
    return Events(log, clock=lambda: next(ticks))


async def hear(listener: Listener, enough: int) -> list[Heard]:
    """Listen until `enough` events were heard or missed."""
    all_heard: list[Heard] = []
    async with asyncio.timeout(10):
        async for heard in listener.heard():
            all_heard.append(heard)
            if sum(len(each.events) + each.missed for each in all_heard) >= enough:
                break
    return all_heard


def actions(heard: list[Heard]) -> list[str]:
    return [event.action for each in heard for event in each.events]


async def test_who_listens_hears_what_happens_from_now_on(events: Events) -> None:
    events.tell("image", "before", "a", {})

    with listen(events, EVERYTHING) as listener:
        events.tell("image", "tag", "a", {})
        await asyncio.to_thread(events.tell, "image", "untag", "a", {})  # from another thread
        heard = await hear(listener, 2)

    assert actions(heard) == ["tag", "untag"]


async def test_telling_wakes_who_waits(events: Events) -> None:
    with listen(events, EVERYTHING) as listener:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(hear(listener, 1))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            events.tell("image", "tag", "a", {})

    assert actions(waiting.result()) == ["tag"]


async def test_only_what_is_wanted_is_heard(events: Events) -> None:
    with listen(events, EventQuery(filters={"type": ["image"]})) as listener:
        events.tell("container", "create", "c", {})
        events.tell("image", "tag", "a", {})
        heard = await hear(listener, 1)

    assert actions(heard) == ["tag"]


async def test_who_looks_back_hears_what_was_and_then_what_comes(events: Events) -> None:
    for action in ("first", "second"):
        events.tell("image", action, "a", {})  # at 1000 and 1001 s

    with listen(events, EventQuery(since=1_000 * SECOND)) as listener:
        events.tell("image", "third", "a", {})
        heard = await hear(listener, 2)

    assert actions(heard) == ["second", "third"]


async def test_an_end_that_has_passed_ends_it_at_once(events: Events) -> None:
    for action in ("first", "second", "third"):
        events.tell("image", action, "a", {})

    with listen(events, EventQuery(until=1_001 * SECOND)) as listener:
        heard = [each async for each in listener.heard()]

    assert actions(heard) == ["first", "second"]


async def test_an_end_to_come_ends_it_when_it_comes(log: EventLog) -> None:
    events = Events(log)
    now = events.tell("image", "tag", "a", {}).time_nano

    async with asyncio.timeout(10):
        with listen(events, EventQuery(until=now + SECOND // 5)) as listener:
            heard = [each async for each in listener.heard()]

    assert actions(heard) == ["tag"]


async def test_a_slow_listener_holds_nobody_up_and_is_told_what_it_missed(events: Events) -> None:
    with listen(events, EVERYTHING) as listener:
        for number in range(25):  # the log keeps ten
            events.tell("image", str(number), "a", {})
        heard = await hear(listener, 25)

    assert [each.missed for each in heard] == [15]
    assert actions(heard) == [str(number) for number in range(15, 25)]


async def test_who_looks_back_has_missed_nothing(events: Events) -> None:
    for number in range(25):
        events.tell("image", str(number), "a", {})

    with listen(events, EventQuery(since=0)) as listener:
        heard = await hear(listener, 10)

    assert [each.missed for each in heard] == [0]


async def test_a_listener_that_is_gone_is_forgotten_at_once(events: Events) -> None:
    with listen(events, EVERYTHING), listen(events, EVERYTHING):
        assert events.listeners == 2

    events.tell("image", "tag", "a", {})
    assert events.listeners == 0


def test_telling_a_listener_whose_loop_has_ended_harms_nobody(events: Events) -> None:
    async def leave() -> None:
        listening = listen(events, EVERYTHING)
        listening.__enter__()

    asyncio.run(leave())

    events.tell("image", "tag", "a", {})
    assert [event.action for event in events.log.behind(0)] == ["tag"]


async def test_what_is_undone_is_not_heard(tmp_path: Path) -> None:
    with Database.open(tmp_path / "headway.db") as database:
        events = Events(SqliteEventLog(database))

        def undone() -> None:
            with database.transaction():
                events.tell("image", "undone", "a", {})
                raise ZeroDivisionError

        with listen(events, EVERYTHING) as listener:
            with pytest.raises(ZeroDivisionError):
                await asyncio.to_thread(undone)
            events.tell("image", "done", "a", {})
            heard = await hear(listener, 1)

    assert actions(heard) == ["done"]


def test_an_image_event_carries_the_labels_and_the_name(events: Events) -> None:
    told = [
        events.tell_of_image("pull", "alpine:3", "alpine", IMAGE),
        events.tell_of_untag(IMAGE.image_id, IMAGE),
        events.tell_of_image("delete", IMAGE.image_id, IMAGE.image_id, None),
    ]

    assert [(event.action, event.actor, dict(event.attributes)) for event in told] == [
        ("pull", "alpine:3", {"stage": "test", "name": "alpine"}),
        ("untag", IMAGE.image_id, {"stage": "test", "name": IMAGE.image_id}),
        ("delete", IMAGE.image_id, {"name": IMAGE.image_id}),
    ]


def test_an_id_in_an_attribute_is_a_text(events: Events) -> None:
    told = events.tell("container", "create", IMAGE.image_id, {"image": IMAGE.image_id})

    assert (type(told.actor), type(told.attributes["image"])) == (str, str)
    assert events.log.behind(0) == [told]
