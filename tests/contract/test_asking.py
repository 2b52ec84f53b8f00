"""Who waits for a registry to come back."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Awaitable, Callable, Sequence

import pytest

from headway.distribution.backoff import RetryPolicy
from headway.distribution.endpoints import Endpoint
from headway.distribution.standing import Standing
from headway.errors import Fault, HeadwayError, NotFoundError, UnavailableError, UnreachableError
from headway.service.concurrency.executors import Executors
from headway.service.registries.asking import Asker
from headway.service.transfers.tools import Tools
from tests.fakes.memory import MemoryHosts


def tools_at(now: list[float], pause: Callable[[float, Sequence[HeadwayError]], Awaitable[None]]) -> Tools:
    """Return tools whose clock shows `now`, with five attempts and ten minutes of patience."""
    return Tools(
        executors=Executors(),
        standing=Standing(),
        policy=lambda: RetryPolicy(5, 600.0),
        clock=lambda: now[0],
        jitter=lambda: 0.0,
        pause=pause,
    )


async def test_who_waits_still_looks_for_what_it_waits_for_when_others_ask_through_the_same() -> None:
    clock, cut = itertools.count(), UnreachableError("r", Fault.CUT)
    waited_for: list[list[HeadwayError]] = []
    answers: list[str] = []

    async def pause(_: float, errors: Sequence[HeadwayError]) -> None:
        waited_for.append(list(errors))
        answers.append(await asker.ask(lambda endpoint: endpoint.host))  # as another layer of a push does meanwhile

    tools = Tools(
        executors=Executors(),
        standing=Standing(),
        policy=lambda: RetryPolicy(5, 600.0),
        clock=lambda: next(clock) / 10,
        jitter=lambda: 0.0,
        pause=pause,
    )
    hosts = MemoryHosts()
    hosts.answered("r")
    asker = Asker(tools, hosts, [Endpoint("r")], name="image", report=lambda _: None)
    failures = iter([cut, cut])

    def question(endpoint: Endpoint) -> str:
        for error in failures:
            raise error
        return endpoint.host

    assert await asker.ask(question) == "r"
    assert len(waited_for) > 1
    assert all(errors == [cut] for errors in waited_for)
    assert set(answers) == {"r"}
    tools.executors.close()


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (UnreachableError("tokens.test", Fault.TIMEOUT), "tokens.test: no answer in time"),
        (UnreachableError("tokens.test", Fault.REFUSED), "tokens.test: connection refused"),
        (UnreachableError("r", Fault.CUT), "r: no answer in time"),
    ],
)
async def test_a_first_contact_that_runs_out_of_time_names_whose_fault_it_was_found_to_be_before(
    before: HeadwayError, said: str
) -> None:
    now, released = [0.0], threading.Event()
    answers = iter([before])

    async def pause(_: float, __: Sequence[HeadwayError]) -> None:
        now[0] = 8.9

    def question(_: Endpoint) -> None:
        for error in answers:
            raise error
        released.wait(10.0)

    tools = tools_at(now, pause)
    asker = Asker(tools, MemoryHosts(), [Endpoint("r")], name="image", report=lambda _: None)

    with pytest.raises(UnreachableError, match=f"^{said}$"):
        await asker.ask(question)

    released.set()
    tools.executors.close()


@pytest.mark.parametrize("busy", [UnavailableError("r", 503), UnreachableError("r", Fault.NO_DNS)])
@pytest.mark.parametrize("known", [[], ["mirror"]])
async def test_a_stranger_who_was_no_typo_once_is_waited_for_from_then_on(
    busy: HeadwayError, known: Sequence[str]
) -> None:
    now = [0.0]
    failures = iter([busy, *[UnreachableError("r", Fault.REFUSED)] * 4])

    async def pause(seconds: float, _: Sequence[HeadwayError]) -> None:
        now[0] += seconds

    def question(endpoint: Endpoint) -> str:
        if endpoint.mirror:
            raise NotFoundError("manifest", "image")
        for error in failures:
            raise error
        return endpoint.host

    tools = tools_at(now, pause)
    hosts = MemoryHosts()
    for host in known:
        hosts.answered(host)
    endpoints = [Endpoint("mirror", mirror=True), Endpoint("r")]
    asker = Asker(tools, hosts, endpoints, name="image", report=lambda _: None)

    assert await asker.ask(question) == "r"
    tools.executors.close()
