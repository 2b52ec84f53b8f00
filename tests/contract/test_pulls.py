"""Durable pulls, over a bringer that does what it is told."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import msgspec
import pytest

from headway.distribution.credentials import Credentials
from headway.distribution.pull_states import PullState
from headway.errors import (
    ConflictError,
    Fault,
    HeadwayError,
    NotFoundError,
    PullIncompleteError,
    PullStoppedError,
    RefusedError,
    StoreFullError,
    UnreachableError,
)
from headway.interfaces.pulls import PullRecord, PullStore, Wish
from headway.interfaces.traffic import Traffic, account
from headway.oci.digest import Digest, ImageID
from headway.oci.platform import Platform
from headway.service.durable_pulls.durable_pull import DurablePull
from headway.service.durable_pulls.ledger import PullLedger
from headway.service.durable_pulls.pulls import Pulls
from headway.service.durable_pulls.runs import NO_LOGIN, RECORD_SECONDS
from headway.service.transfers.progress import LayerProgress, Phase, PullDone, PullEvent, PullStarted, Receipt, Report
from tests.fakes.pulls import MemoryPullStore

S = PullState
EDGE, SMALL = Wish(reference="ghcr.io/acme/edge:1"), Wish(reference="ghcr.io/acme/small:1", priority=10)
LAYER, OTHER = Digest.of(b"layer"), Digest.of(b"other")
DONE = PullDone(
    "edge:1",
    Digest.of(b"m"),
    ImageID(Digest.of(b"c")),
    Platform.parse("linux/amd64"),
    updated=True,
    receipt=Receipt(0, 0, 0, {}, 0.0),
)
LINK = PullIncompleteError("edge:1", UnreachableError("ghcr.io", Fault.CUT))
NO_ROUTE = LayerProgress(LAYER, Phase.RETRYING, held=40, size=100, cause="no route", retry_seconds=4.0)
LOGIN = Credentials("ada", "secret")


@dataclass
class Bringer:
    """Brings what a test lets through.

    Attributes:
        asked: What it was asked for, in order, with the login.
        digests: What it was told that each reference stands for, in the same order.
        stopped: What it was stopped at.
        late: Bytes that still come while it is being stopped.
        reports: Who is told of each attempt.
    """

    asked: list[tuple[str, Credentials | None]] = field(default_factory=list)
    digests: list[Digest | None] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    late: int = 0
    reports: dict[str, Report] = field(default_factory=dict)
    _outcomes: dict[str, asyncio.Queue[PullDone | Exception]] = field(default_factory=dict)

    async def __call__(self, wish: Wish, login: Credentials | None, report: Report) -> PullDone:
        self.asked.append((wish.reference, login))
        self.digests.append(wish.digest)
        self.reports[wish.reference] = report
        report(PullStarted(wish.reference, DONE.digest, "linux/amd64", ((LAYER, 100),)))
        report(LayerProgress(LAYER, Phase.DOWNLOADING, held=40, size=100, received=41))
        charged = account()
        assert charged is not None
        charged.add("ghcr.io", Traffic(received=41, useful=40))
        charged.retries["cut"] += 1
        try:
            outcome = await self._queue(wish).get()
        except asyncio.CancelledError:
            self.stopped.append(wish.reference)
            charged.add("ghcr.io", Traffic(received=self.late, useful=self.late))
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def let(self, wish: Wish, outcome: PullDone | Exception = DONE) -> None:
        """End the attempt that is under way, or the next one."""
        self._queue(wish).put_nowait(outcome)

    def _queue(self, wish: Wish) -> asyncio.Queue[PullDone | Exception]:
        return self._outcomes.setdefault(wish.reference, asyncio.Queue())


@dataclass(frozen=True)
class Scene:
    """Pulls, and what they work with."""

    pulls: Pulls
    bringer: Bringer
    store: PullStore

    async def states(self) -> dict[str, str]:
        return {each.wish.reference.partition("acme/")[2]: str(each.state) for each in await self.pulls.list()}


@asynccontextmanager
async def process(
    store: PullStore,
    *,
    may_detach: bool = False,
    has_login: Callable[[str], bool] = lambda _: False,
    is_command: bool = False,
    clock: Callable[[], float] = time.time,
    ticks: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Scene]:
    """One process's pulls over a store."""
    bringer = Bringer()
    async with asyncio.TaskGroup() as group:
        pulls = Pulls(
            store,
            bringer,
            group=group,
            may_detach=lambda: may_detach,
            has_login=has_login,
            clock=clock,
            ticks=ticks,
        )
        await (pulls.take_up_stopped() if is_command else pulls.take_up())
        yield Scene(pulls, bringer, store)
        await pulls.stop()


@asynccontextmanager
async def client(pulls: Pulls, wish: Wish, login: Credentials | None = None) -> AsyncIterator[Client]:
    """Somebody who watches a pull, until the block ends."""
    events: list[PullEvent] = []
    async with asyncio.TaskGroup() as group:
        watching = Client(group.create_task(_value(pulls.pull(wish, events.append, login))), events)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        yield watching
        watching.task.cancel()


@dataclass(frozen=True)
class Client:
    """Somebody who watches a pull."""

    task: asyncio.Task[PullDone | HeadwayError]
    events: list[PullEvent]

    async def leave(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


async def _value(pulling: object) -> PullDone | HeadwayError:
    try:
        return await pulling  # type: ignore[misc, no-any-return]  # a coroutine
    except HeadwayError as error:
        return error


async def _refused(changing: Awaitable[object]) -> str:
    with pytest.raises(ConflictError) as refused:
        await changing
    return str(refused.value)


@asynccontextmanager
async def urgent_without_link(ticks: Callable[[], float]) -> AsyncIterator[Scene]:
    """Two pulls, of which the urgent one has had a part of its layer, and has lost its link."""
    async with process(MemoryPullStore(), ticks=ticks) as scene:
        await scene.pulls.start(EDGE)
        await scene.pulls.start(SMALL)
        await settled()
        scene.bringer.reports[SMALL.reference](NO_ROUTE)
        yield scene


async def looked_after() -> None:
    """Let running pulls be looked after once."""
    await asyncio.sleep(RECORD_SECONDS * 1.5)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_pull_has_an_id_and_a_record_and_comes_to_its_end() -> None:
    async with process(MemoryPullStore()) as scene, client(scene.pulls, EDGE) as ada:
        (running,) = await scene.pulls.list()
        scene.bringer.let(EDGE)
        done = await ada.task
        complete = await scene.pulls.get(running.pull_id[:5])

    assert (running.state, running.held, running.size) == (S.RUNNING, 40, 100)
    assert done == DONE
    assert (complete.state, complete.image_id, complete.digest) == (S.COMPLETE, DONE.image_id, DONE.digest)


async def test_what_a_plan_has_found_holds_for_one_attempt_and_is_in_no_record() -> None:
    planned, found = msgspec.structs.replace(EDGE, digest=DONE.digest), DONE.digest
    async with process(MemoryPullStore()) as scene:
        for wish in (planned, EDGE, planned):
            async with client(scene.pulls, wish) as watching:
                recorded = (await scene.pulls.list())[0].wish
                await watching.leave()
        async with client(scene.pulls, EDGE), client(scene.pulls, planned):
            await scene.pulls.pause((await scene.pulls.list())[0].pull_id)
            await scene.pulls.resume((await scene.pulls.list())[0].pull_id)
            await settled()

    assert scene.bringer.digests == [found, None, found, None, None]
    assert recorded.digest is None


async def test_a_client_that_leaves_pauses_its_pull_and_the_same_command_goes_on_with_it() -> None:
    async with process(MemoryPullStore()) as scene:
        async with client(scene.pulls, EDGE) as ada:
            await ada.leave()
        (paused,) = await scene.pulls.list()
        async with client(scene.pulls, EDGE) as again:
            (resumed,) = await scene.pulls.list()
            scene.bringer.let(EDGE)
            done = await again.task

    assert (paused.state, paused.reason, paused.held) == (S.PAUSED, "client left", 40)
    assert scene.bringer.stopped == [EDGE.reference]
    assert (resumed.pull_id, resumed.state, done) == (paused.pull_id, S.RUNNING, DONE)


async def test_what_attempts_have_cost_adds_up_over_restarts() -> None:
    store = MemoryPullStore()
    cost = Receipt(needed=60, received=61, here=40, retries={}, seconds=1.0)
    async with process(store) as scene:
        told = await scene.pulls.start(EDGE)
        await settled()
        await scene.pulls.pause(told.pull_id)
        await scene.pulls.resume(told.pull_id)
        await settled()
    async with process(store) as later:
        await settled()
        later.bringer.let(EDGE, msgspec.structs.replace(DONE, receipt=cost))
        await settled()
    kept = store.get(told.pull_id)

    assert (kept.state, kept.cost.retries) == (S.COMPLETE, {"cut": 3})
    assert (kept.cost.sources, kept.cost.useful, kept.cost.wasted) == ({"ghcr.io": 123}, 120, 3)
    assert (kept.needed, kept.reused) == (60, 40)


async def test_what_still_comes_while_a_pull_is_stopped_is_on_its_receipt() -> None:
    store = MemoryPullStore()
    async with process(store) as scene:
        scene.bringer.late = 7
        record = await scene.pulls.start(EDGE)
        await asyncio.sleep(0)
        await scene.pulls.cancel(record.pull_id)
        await asyncio.sleep(0)
        cancelled = (await scene.pulls.get(record.pull_id)).cost
        await scene.pulls.resume(record.pull_id)
        await asyncio.sleep(0)

    assert (cancelled.received, cancelled.useful) == (48, 47)
    assert (store.get(record.pull_id).cost.received, store.get(record.pull_id).state) == (96, S.RUNNING)


async def test_a_command_goes_on_with_what_one_before_has_left_and_leaves_detached_ones_alone() -> None:
    store = MemoryPullStore()
    for number, detached in enumerate((True, False)):
        wish = Wish(reference=f"ghcr.io/acme/left:{number}", detached=detached)
        store.put(PullRecord(pull_id=f"{number:012}", wish=wish, state=S.RUNNING, created=1.0, changed=1.0))
    async with process(store, is_command=True) as scene, client(scene.pulls, Wish(reference="ghcr.io/acme/left:1")):
        states = {each.pull_id: each.state for each in await scene.pulls.list()}

    assert states == {f"{0:012}": S.RUNNING, f"{1:012}": S.RUNNING}
    assert scene.bringer.asked == [("ghcr.io/acme/left:1", None)]
    assert [(each.state, each.reason) for each in store.list()] == [(S.RUNNING, ""), (S.PAUSED, "client left")]


async def test_a_pull_that_others_watch_goes_on_and_who_comes_late_sees_how_far_it_is() -> None:
    async with process(MemoryPullStore()) as scene, client(scene.pulls, EDGE) as ada, client(scene.pulls, EDGE) as bob:
        await ada.leave()
        states = await scene.states()
        scene.bringer.let(EDGE)
        done = await bob.task

    assert states == {"edge:1": "running"}
    assert done == DONE
    assert [type(event).__name__ for event in bob.events] == ["PullStarted", "LayerProgress"]
    assert len(scene.bringer.asked) == 1


async def test_who_goes_on_with_a_stopped_pull_is_told_of_the_new_attempt_alone() -> None:
    async with process(MemoryPullStore()) as scene:
        async with client(scene.pulls, EDGE) as first:
            await first.leave()
        await settled()
        async with client(scene.pulls, EDGE) as second:
            await settled()
            told = [type(event).__name__ for event in second.events]
            scene.bringer.let(EDGE)
            await second.task

    assert told == ["PullStarted", "LayerProgress"]


async def test_a_pull_goes_on_without_its_client_where_the_daemon_says_so() -> None:
    async with process(MemoryPullStore(), may_detach=True) as scene:
        async with client(scene.pulls, EDGE) as ada:
            await ada.leave()
        (record,) = await scene.pulls.list()

    assert (record.state, record.wish.detached) == (S.RUNNING, True)


async def test_a_detached_pull_is_recorded_when_its_id_is_told_and_needs_nobody() -> None:
    store = MemoryPullStore()
    async with process(store) as scene:
        told = await scene.pulls.start(EDGE)
        recorded = store.get(told.pull_id)
        scene.bringer.let(EDGE)
        await settled()
        states = await scene.states()

    assert recorded.wish.detached
    assert states == {"edge:1": "complete"}


async def test_a_record_is_not_overtaken_though_who_waits_for_it_leaves() -> None:
    begun, may_end = threading.Event(), threading.Event()

    class Slow(MemoryPullStore):
        def put(self, record: PullRecord) -> None:
            if record.state is S.QUEUED:
                begun.set()
                may_end.wait(10)
            super().put(record)

    store = Slow()
    ledger = PullLedger(store)
    record = PullRecord(pull_id="0" * 12, wish=EDGE, state=S.QUEUED, created=1.0, changed=1.0)
    ledger.note(record)
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(ledger.settle())
        await asyncio.to_thread(begun.wait, 10)
        leaving.cancel()
        ledger.note(msgspec.structs.replace(record, state=S.COMPLETE))
        settling = group.create_task(ledger.settle())
        await asyncio.sleep(0.05)
        may_end.set()
        await settling

    assert [each.state for each in store.list()] == [S.COMPLETE]


async def test_a_detached_pull_waits_for_the_link_and_tries_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("headway.distribution.pull_states.FIRST_WAIT_SECONDS", 0.01)
    caplog.set_level(logging.INFO, "headway.service.durable_pulls.runs")
    async with process(MemoryPullStore()) as scene, asyncio.timeout(20):
        pull = await scene.pulls.start(EDGE)
        scene.bringer.let(EDGE, LINK)
        scene.bringer.let(EDGE)
        while await scene.states() != {"edge:1": "complete"}:  # noqa: ASYNC110  # records are written in threads
            await asyncio.sleep(0.01)

    # What it was in between is in the log: on a busy machine the wait is over before anybody can look.
    waiting, _, _ = caplog.messages
    assert waiting == f"pull {pull.pull_id} ({EDGE.reference}) is {S.WAITING_FOR_LINK}: {LINK}"
    assert len(scene.bringer.asked) == 2


async def test_a_watched_pull_fails_with_its_error_and_its_record_says_why() -> None:
    async with process(MemoryPullStore()) as scene, client(scene.pulls, EDGE) as ada:
        scene.bringer.let(EDGE, LINK)
        outcome = await ada.task
        (failed,) = await scene.pulls.list()

    assert outcome is LINK
    assert (failed.state, failed.reason) == (S.FAILED, str(LINK))


async def test_a_mistake_of_ours_fails_one_pull_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async with process(MemoryPullStore()) as scene, client(scene.pulls, EDGE) as ada:
        await scene.pulls.start(Wish(reference="ghcr.io/acme/other:1"))
        scene.bringer.let(EDGE, KeyError("bug"))
        outcome = await ada.task
        states = await scene.states()

    assert isinstance(outcome, HeadwayError)
    said, bug = str(outcome).rsplit(" ", 1)
    (line,) = [record for record in caplog.records if record.exc_info]
    assert said == "this is a bug in Headway, logged as"
    assert line.getMessage() == f"bug {bug}: KeyError"
    assert states == {"edge:1": "failed", "other:1": "running"}


async def test_a_higher_priority_displaces_the_others_until_it_is_done() -> None:
    async with process(MemoryPullStore()) as scene:
        await scene.pulls.start(EDGE)
        await settled()
        await scene.pulls.start(SMALL)
        await settled()
        displaced = await scene.states()
        scene.bringer.let(SMALL)
        await settled()
        after = await scene.states()

    assert displaced == {"edge:1": "queued", "small:1": "running"}
    assert after == {"edge:1": "running", "small:1": "complete"}
    assert [name for name, _ in scene.bringer.asked] == [EDGE.reference, SMALL.reference, EDGE.reference]


async def test_what_is_displaced_before_it_has_begun_has_its_turn_later() -> None:
    async with process(MemoryPullStore()) as scene:
        await asyncio.gather(scene.pulls.start(EDGE), scene.pulls.start(SMALL))
        await settled()
        scene.bringer.let(SMALL)
        await settled()
        states = await scene.states()

    assert states == {"edge:1": "running", "small:1": "complete"}
    assert [name for name, _ in scene.bringer.asked] == [SMALL.reference, EDGE.reference]


async def test_a_higher_priority_displaces_several_at_once() -> None:
    others = [Wish(reference=f"ghcr.io/acme/other:{number}") for number in range(3)]
    async with process(MemoryPullStore()) as scene:
        for other in others:
            await scene.pulls.start(other)
        await settled()
        await scene.pulls.start(SMALL)
        await settled()
        states = await scene.states()

    assert states == {"other:0": "queued", "other:1": "queued", "other:2": "queued", "small:1": "running"}


async def test_a_higher_priority_that_waits_for_its_link_holds_up_nobody_until_it_is_back() -> None:
    now = 1000.0
    async with urgent_without_link(lambda: now) as scene:
        now += 2
        await looked_after()
        short = await scene.states()
        now += 4
        await looked_after()
        long = await scene.states()
        scene.bringer.reports[SMALL.reference](LayerProgress(LAYER, Phase.DOWNLOADING, held=50, size=100))
        await looked_after()
        back = await scene.states()

    assert short == {"edge:1": "queued", "small:1": "waiting for the link"}
    assert long == {"edge:1": "running", "small:1": "waiting for the link"}
    assert back == {"edge:1": "queued", "small:1": "running"}
    assert scene.bringer.stopped == [EDGE.reference, EDGE.reference, SMALL.reference]


async def test_a_clock_that_is_set_in_the_middle_counts_as_no_time() -> None:
    now, ticked = 100.0, 5.0
    async with process(MemoryPullStore(), clock=lambda: now, ticks=lambda: ticked) as scene:
        record = await scene.pulls.start(EDGE)
        await settled()
        scene.bringer.reports[EDGE.reference](LayerProgress(LAYER, Phase.DOWNLOADING, held=50, size=100))
        now, ticked = 1.8e9, ticked + 8
        cost = (await scene.pulls.get(record.pull_id)).cost

    assert (cost.seconds, cost.receiving_seconds, cost.counted) == ({PullState.RUNNING: 8.0}, 8.0, 1.8e9)


async def test_a_pull_that_was_left_paused_is_paused_for_as_long_as_no_process_ran() -> None:
    store, now = MemoryPullStore(), 100.0
    async with process(store, clock=lambda: now, ticks=lambda: 5.0) as scene:
        await scene.pulls.start(EDGE)
        await settled()
        [record] = await scene.pulls.list()
        await scene.pulls.pause(record.pull_id)
    now += 30
    async with process(store, clock=lambda: now, ticks=lambda: 1.0) as scene:
        [record] = await scene.pulls.list()

    assert record.cost.seconds == {PullState.PAUSED: 30.0}


async def test_an_attempt_of_a_higher_priority_that_brings_nothing_puts_nobody_back() -> None:
    now = 1000.0
    async with urgent_without_link(lambda: now) as scene:
        now += 6
        await looked_after()
        scene.bringer.reports[SMALL.reference](LayerProgress(LAYER, Phase.DOWNLOADING, held=40, size=100))
        await looked_after()
        trying = await scene.states()
        scene.bringer.reports[SMALL.reference](NO_ROUTE)
        await looked_after()
        again = await scene.states()

    assert trying == {"edge:1": "running", "small:1": "running"}
    assert again == {"edge:1": "running", "small:1": "waiting for the link"}


async def test_an_attempt_that_begins_anew_with_another_image_forgets_the_first_ones_layers() -> None:
    async with process(MemoryPullStore()) as scene:
        pull = await scene.pulls.start(SMALL)
        await settled()
        report = scene.bringer.reports[SMALL.reference]
        report(PullStarted(SMALL.reference, OTHER, "linux/amd64", ((OTHER, 30),)))
        report(LayerProgress(OTHER, Phase.RETRYING, held=10, size=30, cause="no route", retry_seconds=4.0))
        record = await scene.pulls.get(pull.pull_id)

    assert (record.state, record.held, record.size) == ("waiting for the link", 10, 30)
    assert record.found == {OTHER: 10}


async def test_a_layer_that_is_here_whole_is_on_the_record_without_a_write_for_it() -> None:
    noted: list[PullRecord] = []
    record = PullRecord(pull_id="1", wish=EDGE, had_login=False, state=S.RUNNING, created=1.0, changed=1.0)
    pull = DurablePull(record, None, noted.append, time.time, time.monotonic)

    pull.report(PullStarted(EDGE.reference, DONE.digest, "linux/amd64", ((LAYER, 100), (OTHER, 30))))
    pull.report(LayerProgress(LAYER, Phase.HERE, held=100, size=100))
    known, written = pull.record.found, len(noted)
    pull.report(LayerProgress(OTHER, Phase.WAITING, held=0, size=30))

    assert (known, written) == ({LAYER: 100}, 0)
    assert [each.found for each in noted] == [{LAYER: 100, OTHER: 0}]


async def test_a_priority_can_be_changed_meanwhile() -> None:
    async with process(MemoryPullStore()) as scene:
        first = await scene.pulls.start(EDGE)
        await scene.pulls.start(SMALL)
        await settled()
        await scene.pulls.set_priority(first.pull_id, 20)
        await settled()
        states = await scene.states()

    assert states == {"edge:1": "running", "small:1": "queued"}


async def test_a_pull_that_has_ended_has_no_priority_to_change() -> None:
    async with process(MemoryPullStore()) as scene:
        first = await scene.pulls.start(EDGE)
        await settled()
        await scene.pulls.cancel(first.pull_id)

        with pytest.raises(ConflictError, match="is cancelled, and its priority cannot be changed"):
            await scene.pulls.set_priority(first.pull_id, 20)


@pytest.mark.parametrize("change", [Pulls.pause, Pulls.cancel, Pulls.resume])
async def test_a_pull_that_ends_while_its_record_is_read_has_ended(
    change: Callable[[Pulls, str], Awaitable[PullRecord]],
) -> None:
    class SlowStore(MemoryPullStore):
        has_read, may_tell = threading.Event(), threading.Event()

        def get(self, prefix: str) -> PullRecord:
            record = super().get(prefix)
            self.has_read.set()
            self.may_tell.wait()
            return record

    store = SlowStore()
    async with process(store) as scene:
        started = await scene.pulls.start(EDGE)
        await settled()
        async with asyncio.TaskGroup() as group:
            changing = group.create_task(_refused(change(scene.pulls, started.pull_id[:8])))
            await asyncio.to_thread(store.has_read.wait)
            scene.bringer.let(EDGE)
            await settled()
            store.may_tell.set()
        states = await scene.states()
        [record] = store.list()

    assert "is complete, and cannot be" in await changing
    assert states == {"edge:1": "complete"}
    assert record.state is S.COMPLETE


async def test_a_pull_that_could_not_be_recorded_is_found_as_long_as_it_has_not_ended() -> None:
    class FullStore(MemoryPullStore):
        def put(self, record: PullRecord) -> None:
            raise StoreFullError(record.pull_id)

    async with process(FullStore()) as scene:
        started = await scene.pulls.start(EDGE)
        paused = await scene.pulls.pause(started.pull_id)
        resumed = await scene.pulls.resume(started.pull_id)
        cancelled = await scene.pulls.cancel(started.pull_id)

    assert [paused.state, resumed.state, cancelled.state] == [S.PAUSED, S.RUNNING, S.CANCELLED]


async def test_a_pull_whose_end_could_not_be_recorded_holds_up_nobody_when_its_resumption_is_refused() -> None:
    class FullStore(MemoryPullStore):
        is_full = False

        def put(self, record: PullRecord) -> None:
            if self.is_full:
                raise StoreFullError("headway.db")
            super().put(record)

    store = FullStore()
    async with process(store) as scene:
        started = await scene.pulls.start(EDGE)
        await settled()
        await scene.pulls.list()  # that it runs is recorded
        store.is_full = True
        scene.bringer.let(EDGE)
        await settled()
        refused = await _refused(scene.pulls.resume(started.pull_id))
        scene.bringer.let(EDGE)
        async with asyncio.timeout(5), client(scene.pulls, EDGE) as ada:
            done = await ada.task

    assert "is running, and cannot be resumed" in refused
    assert done == DONE


async def test_a_paused_pull_is_resumed_by_its_id_and_needs_nobody_then() -> None:
    async with process(MemoryPullStore()) as scene:
        async with client(scene.pulls, EDGE) as ada:
            (record,) = await scene.pulls.list()
            paused = await scene.pulls.pause(record.pull_id)
            still_there = not ada.task.done()
        resumed = await scene.pulls.resume(record.pull_id)

    assert (paused.state, paused.reason) == (S.PAUSED, "by request")
    assert still_there
    assert (resumed.state, resumed.wish.detached) == (S.RUNNING, True)


async def test_who_watches_a_pull_that_is_cancelled_is_told() -> None:
    async with process(MemoryPullStore()) as scene, client(scene.pulls, EDGE) as ada:
        (record,) = await scene.pulls.list()
        cancelled = await scene.pulls.cancel(record.pull_id)
        outcome = await ada.task
        with pytest.raises(ConflictError, match="is cancelled, and cannot be paused"):
            await scene.pulls.pause(record.pull_id)
        with pytest.raises(PullStoppedError):
            await scene.pulls.watch(record.pull_id, print)

    assert cancelled.state is S.CANCELLED
    assert isinstance(outcome, PullStoppedError)


async def test_a_failed_pull_can_be_resumed_and_a_complete_one_cannot() -> None:
    async with process(MemoryPullStore()) as scene:
        async with client(scene.pulls, EDGE) as ada:
            scene.bringer.let(EDGE, LINK)
            await ada.task
        (failed,) = await scene.pulls.list()
        resumed = await scene.pulls.resume(failed.pull_id)
        scene.bringer.let(EDGE)
        await settled()
        with pytest.raises(ConflictError, match="is complete, and cannot be resumed"):
            await scene.pulls.resume(failed.pull_id)
        with pytest.raises(NotFoundError):
            await scene.pulls.resume("ffff")
        states = await scene.states()

    assert resumed.state is S.RUNNING
    assert states == {"edge:1": "complete"}


async def test_after_a_restart_detached_pulls_go_on_and_others_wait_for_a_person() -> None:
    store = MemoryPullStore()
    async with process(store) as scene, client(scene.pulls, Wish(reference="ghcr.io/acme/watched:1")) as ada:
        await scene.pulls.start(EDGE)
        await settled()
        await scene.pulls.stop()
        outcome = await ada.task
    async with process(store) as later:
        states = await later.states()

    assert isinstance(outcome, PullStoppedError)
    assert outcome.retryable
    assert states == {"edge:1": "running", "watched:1": "paused"}


@pytest.mark.parametrize("detached", [False, True])
async def test_who_asks_while_the_daemon_stops_does_not_wait_for_ever(*, detached: bool) -> None:
    store = MemoryPullStore()
    async with process(store) as scene:
        await scene.pulls.stop()
        wish = msgspec.structs.replace(EDGE, detached=detached)
        if detached:
            await scene.pulls.start(wish)
        with pytest.raises(PullStoppedError) as stopped:
            async with asyncio.timeout(5):
                await scene.pulls.pull(wish, lambda _: None)
        await scene.pulls.stop()
    async with process(store) as later:
        states = await later.states()

    assert stopped.value.retryable
    assert states == {"edge:1": "running" if detached else "paused"}


async def test_a_kill_is_a_restart_as_well() -> None:
    store = MemoryPullStore()
    for number, detached in enumerate((True, False)):
        wish = Wish(reference=f"ghcr.io/acme/killed:{number}", detached=detached)
        store.put(PullRecord(pull_id=f"{number:012}", wish=wish, state=S.RUNNING, created=1.0, changed=1.0))
    async with process(store) as scene:
        states = await scene.states()

    assert states == {"killed:0": "running", "killed:1": "paused"}


async def test_a_login_that_came_with_the_request_is_in_no_record_and_is_waited_for_after_a_restart() -> None:
    store = MemoryPullStore()
    async with process(store) as scene:
        told = await scene.pulls.start(EDGE, LOGIN)
        await settled()
    async with process(store) as later:
        (waiting,) = await later.pulls.list()
        asked_without = list(later.bringer.asked)
        await later.pulls.resume(told.pull_id, LOGIN)
        await settled()

    assert "secret" not in repr(store.list())
    assert scene.bringer.asked == [(EDGE.reference, LOGIN)]
    assert (waiting.state, waiting.reason, asked_without) == (S.WAITING_FOR_CREDENTIALS, NO_LOGIN, [])
    assert later.bringer.asked == [(EDGE.reference, LOGIN)]


async def test_a_login_of_the_daemons_own_does_after_a_restart_until_it_is_refused() -> None:
    store = MemoryPullStore()
    async with process(store) as scene:
        await scene.pulls.start(EDGE, LOGIN)
        await settled()
    async with process(store, has_login=lambda name: name == EDGE.reference) as later:
        running = await later.states()
        later.bringer.let(EDGE, RefusedError("ghcr.io", 401))
        await settled()
        refused = await later.states()

    assert running == {"edge:1": "running"}
    assert refused == {"edge:1": "waiting for credentials"}


async def test_a_login_is_shown_for_nobody_else_who_wants_the_same_by_another_way() -> None:
    async with process(MemoryPullStore()) as scene:
        async with client(scene.pulls, EDGE, LOGIN) as ada:
            await ada.leave()
        async with client(scene.pulls, msgspec.structs.replace(EDGE, insecure=("ghcr.io",))):
            await settled()
        ways = {each.wish.insecure: each.had_login for each in await scene.pulls.list()}

    assert scene.bringer.asked == [(EDGE.reference, LOGIN), (EDGE.reference, None)]
    assert ways == {(): True, ("ghcr.io",): False}


async def test_what_one_login_may_see_is_not_shown_to_another_before_the_registry_has_let_it_in() -> None:
    async with (
        process(MemoryPullStore()) as scene,
        client(scene.pulls, EDGE, LOGIN),
        client(scene.pulls, EDGE),
        client(scene.pulls, EDGE, LOGIN),
    ):
        asked = list(scene.bringer.asked)

    assert asked == [(EDGE.reference, LOGIN), (EDGE.reference, None)]


async def test_a_login_that_comes_with_a_refused_resumption_sees_nothing_that_was_shown_to_another() -> None:
    other = Credentials("eve", "guessed")
    async with process(MemoryPullStore()) as scene, client(scene.pulls, EDGE, LOGIN):
        (record,) = await scene.pulls.list()
        with pytest.raises(ConflictError):
            await scene.pulls.resume(record.pull_id, other)
        async with client(scene.pulls, EDGE, other):
            asked = list(scene.bringer.asked)

    assert asked == [(EDGE.reference, LOGIN), (EDGE.reference, other)]
