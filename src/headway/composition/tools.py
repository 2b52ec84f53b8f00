"""Builds the tools that pulls, pushes and questions to registries share: threads, retry policy, clock and standing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headway.distribution.backoff import RetryPolicy
from headway.interfaces.images import HostMemory
from headway.registry.transport import Transport
from headway.service.concurrency.executors import Executors
from headway.service.transfers.lookout import Lookout
from headway.service.transfers.tools import Tools


@contextmanager
def tools_over(
    transport: Transport, hosts: HostMemory, *, policy: Callable[[], RetryPolicy], clock: Callable[[], float]
) -> Iterator[Tools]:
    """Give the tools for talking to registries; their threads and idle connections end with the block.

    Args:
        transport: Connects to registries, and keeps their standing.
        hosts: Records the addresses that were found, at the end.
        policy: Returns the retry policy at this moment.
        clock: Monotonic time, in seconds.
    """
    executors = Executors()
    try:
        yield Tools(
            executors=executors,
            standing=transport.standing,
            policy=policy,
            clock=clock,
            jitter=random.random,
            pause=Lookout(transport.standing.outages, transport.look).pause,
        )
    finally:
        transport.close()
        hosts.found(transport.standing.addresses.take_new())
        executors.close()
