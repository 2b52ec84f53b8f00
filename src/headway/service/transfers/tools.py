"""What requests and transfers share in one process (threads, clock, policy, standing), and the sources of a blob."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from headway.distribution.backoff import RetryPolicy
from headway.distribution.endpoints import Endpoint
from headway.distribution.flow import LinkMemory
from headway.distribution.standing import Standing
from headway.distribution.streams import Streams
from headway.errors import HeadwayError
from headway.interfaces.registries import Registry
from headway.interfaces.traffic import account
from headway.service.concurrency.executors import Executors
from headway.service.limits.shared_rate import SharedRate


class Source(msgspec.Struct, frozen=True):
    """One place a blob may be had from.

    Attributes:
        endpoint: Whom to ask.
        repository: Path of the repository there.
    """

    endpoint: Endpoint
    repository: str


async def _sleep(seconds: float, errors: Sequence[HeadwayError]) -> HeadwayError | None:
    del errors
    await asyncio.sleep(seconds)
    return None


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What every request of a process to registries needs.

    Attributes:
        executors: Threads for blocking work.
        standing: What is known of registries.
        policy: Returns the retry policy; called before each attempt, so that a change takes effect at once.
        clock: Monotonic time, in seconds.
        jitter: Returns a number from 0 up to 1.
        pause: Waits for some seconds, or until what one of some errors is about can be connected to again; returns
            which (`service.transfers.lookout.Lookout.pause`).
        retries: What this process has had to ask for again, by cause.
    """

    executors: Executors
    standing: Standing
    policy: Callable[[], RetryPolicy]
    clock: Callable[[], float]
    jitter: Callable[[], float]
    pause: Callable[[float, Sequence[HeadwayError]], Awaitable[HeadwayError | None]] = _sleep
    retries: Counter[str] = msgspec.field(default_factory=Counter)

    def retried(self, cause: str) -> None:
        """Take note of something that has to be asked for again."""
        self.retries[cause] += 1
        if (charged := account()) is not None:
            charged.retries[cause] += 1


class TransferTools(Tools, frozen=True, kw_only=True):
    """What every transfer of a process works with.

    Attributes:
        registry: Reads from registries.
        memory: What the link has shown.
        streams: How many connections pay.
        rate: What all downloads together keep to.
        useful: Told how many bytes came that were not here before (`interfaces.traffic.TrafficCounter`).
        reused: Told how many did not have to come.
    """

    registry: Registry
    memory: LinkMemory = msgspec.field(default_factory=LinkMemory)
    streams: Streams = msgspec.field(default_factory=Streams)
    rate: SharedRate = msgspec.field(default_factory=SharedRate)
    useful: Callable[[int], None] = lambda _: None
    reused: Callable[[int], None] = lambda _: None
