"""Requests for one blob, each in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import pytest

from headway.distribution.endpoints import Endpoint
from headway.distribution.spread import Fetch
from headway.distribution.streams import Streams
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.service.limits.budget import Budget
from headway.service.limits.own_limits import OwnLimits, keeping_to
from headway.service.limits.shared_rate import SharedRate
from headway.service.transfers.fetches import Fetches
from headway.service.transfers.tools import Source, TransferTools
from tests.contract.test_budget import Meter
from tests.contract.test_receiver import BLOB, Body, ingest_with, tools
from tests.fakes.simulated_registry import SimulatedRegistry


class OneBody(SimulatedRegistry):
    """A registry that gives one body, whatever it is asked for."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self._body = body

    def blob(self, *_: object) -> Body:  # type: ignore[override]  # it never gives another
        return self._body


def fetches_with(work: TransferTools, size: int = len(BLOB)) -> Fetches:
    blob = Descriptor(media_type="", digest=Digest.of(BLOB), size=size)
    return Fetches(work, [Source(Endpoint("r"), "app")], blob, ingest_with())


async def test_a_request_for_which_there_is_no_thread_does_not_share_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    work = tools(time.monotonic)
    fetches = fetches_with(work)
    work.memory.began()  # another one
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            fetches.start(Fetch(0, 0, len(BLOB), 0))
    await fetches.stop()

    assert work.memory.sharing == 1


async def test_who_is_cancelled_while_requests_end_does_not_share_the_link_any_more() -> None:
    ends = threading.Event()

    class Stuck(Body):
        def open(self) -> int:
            ends.wait(10)
            return 0

        def abort(self) -> None:
            """Be of no help."""

    work = msgspec.structs.replace(tools(time.monotonic), registry=OneBody(Stuck(0, [BLOB])))
    fetches = fetches_with(work)
    work.memory.began()  # another one
    fetches.start(Fetch(0, 0, len(BLOB), 0))
    assert work.memory.sharing == 2
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(fetches.stop())
        await asyncio.sleep(0)
        stopping.cancel()
    ends.set()

    assert work.memory.sharing == 1


async def test_a_request_whose_work_others_have_done_does_not_wait_for_its_first_byte() -> None:
    is_ended = threading.Event()

    class Silent(Body):
        def open(self) -> int:
            is_ended.wait(10)
            return 0

        def abort(self) -> None:
            is_ended.set()

    fetches = fetches_with(msgspec.structs.replace(tools(time.monotonic), registry=OneBody(Silent(0, []))))
    fetch = Fetch(0, 0, len(BLOB), 0)
    fetches.start(fetch)

    await fetches.wait(0.01)
    waits = not is_ended.is_set()
    fetch.end = fetch.position
    await fetches.wait(0.01)
    is_left = is_ended.is_set()
    await fetches.stop()

    assert (waits, is_left) == (True, True)


@dataclass(frozen=True)
class Flow:
    """Requests for one blob, and what comes over the one that is under way."""

    fetches: Fetches
    stream: Body
    streams: Streams

    def shares(self, quarters: range, each: int) -> list[int]:
        """Let so many bytes come in each quarter of a second, and return how many requests there may be behind it."""
        found = []
        for quarter in quarters:
            self.stream.received_bytes += each
            found.append(self.fetches.share(0, quarter / 4))
        return found


@asynccontextmanager
async def flowing(rate: SharedRate) -> AsyncIterator[Flow]:
    has_begun, ends = threading.Event(), threading.Event()

    class Slow(Body):
        def read(self) -> bytes:
            if has_begun.is_set():
                ends.wait(10)
            has_begun.set()
            return super().read()

        def abort(self) -> None:
            ends.set()

    stream = Slow(0, [BLOB[:1]])

    work = msgspec.structs.replace(tools(time.monotonic), registry=OneBody(stream), rate=rate)
    fetches = fetches_with(work, size=1 << 40)
    fetches.start(Fetch(0, 0, len(BLOB), 0))
    await asyncio.to_thread(has_begun.wait, 10)
    await fetches.wait(0.05)

    yield Flow(fetches, stream, work.streams)
    await fetches.stop()


async def test_a_steady_flow_gets_more_streams() -> None:
    async with flowing(SharedRate(0)) as flow:
        assert max(flow.shares(range(40), 500_000)) > 1


async def test_what_comes_while_a_rate_is_kept_to_is_no_evidence_for_more_streams() -> None:
    rate = SharedRate(2_000_000)
    async with flowing(rate) as flow:
        flow.shares(range(40), 500_000)
        rate.set(0)
        assert flow.shares(range(40, 44), 0) == [1, 1, 1, 1]


async def test_a_pull_with_a_budget_keeps_to_one_stream_for_a_blob() -> None:
    with keeping_to(OwnLimits(budget=Budget(Meter(), 1))):
        async with flowing(SharedRate(0)) as flow:
            assert set(flow.shares(range(40), 500_000)) == {1}


async def test_a_pull_that_keeps_to_a_rate_of_its_own_makes_no_link_look_thin() -> None:
    with keeping_to(OwnLimits(rate=SharedRate(40_000))):
        async with flowing(SharedRate(0)) as flow:
            flow.shares(range(80), 10_000)
            assert flow.streams.blobs_at_once > 1
