"""What all that talks to registries works with, for as long as it does."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headway.distribution.backoff import RetryPolicy
from headway.interfaces.images import HostMemory
from headway.registry.transport import Transport
from headway.service.executors import Executors
from headway.service.lookout import Lookout
from headway.service.tools import Tools


@contextmanager
def tools_over(
    transport: Transport, hosts: HostMemory, *, policy: Callable[[], RetryPolicy], clock: Callable[[], float]
) -> Iterator[Tools]:
    """Give what questions work with; threads and idle connections end with the block.

    Args:
        transport: Reaches them, and has what they have shown.
        hosts: Told where they were found.
        policy: Returns when to give up.
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
