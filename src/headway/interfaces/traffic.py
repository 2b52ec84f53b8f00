"""What crosses the network, by day, registry and image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

import msgspec


class Errand(msgspec.Struct, frozen=True):
    """What bytes cross the network for.

    Attributes:
        registry: ``host[:port]`` of the registry, or the mirror of it, that is asked; a token server's or a CDN's bytes
            count as those of the registry that names it.
        image: The reference as it was asked for, in short spelling; empty for what is for no image.
    """

    registry: str = ""
    image: str = ""


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What crossed the network.

    Attributes:
        received: Bytes that came, headers included (as counted before TLS).
        useful: Those of them that were content that was not here before.
        reused: Bytes of pulls' layers that did not have to come: they were here already.
        sent: Bytes of pushes' blobs and manifests that went over connections, those that were sent again too.
    """

    received: int = 0
    useful: int = 0
    reused: int = 0
    sent: int = 0

    @property
    def wasted(self) -> int:
        """Bytes that came and brought nothing: headers, questions, what came twice, what was wrong."""
        return self.received - self.useful

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(
            received=self.received + other.received,
            useful=self.useful + other.useful,
            reused=self.reused + other.reused,
            sent=self.sent + other.sent,
        )


class TrafficRow(msgspec.Struct, frozen=True):
    """One day's traffic for one image with one registry.

    Attributes:
        day: ``2026-01-02``, in UTC.
        errand: With whom, and what for.
        traffic: How much.
    """

    day: str
    errand: Errand
    traffic: Traffic


class TrafficStore(Protocol):
    """Sums that outlive who counted them."""

    def add(self, day: str, counted: Mapping[Errand, Traffic]) -> None:
        """Add to a day's sums. Durable when this returns.

        Raises:
            StoreError: The disk failed.
        """

    def days(self, since: str = "", until: str = "") -> Sequence[TrafficRow]:
        """Return the sums from one day to another, both included; oldest first, then by registry and image."""


class TrafficCounter(Protocol):
    """Counts by errand; any thread may call."""

    def useful(self, count: int) -> None:
        """Take note of content that was not here before; less than nothing where some turned out wrong."""

    def reused(self, count: int) -> None:
        """Take note of content that did not have to come."""

    @property
    def has_counted(self) -> bool:
        """Whether anything was counted since the last `take`."""

    def take(self) -> Mapping[Errand, Traffic]:
        """Return what was counted since the last call."""


class Account:
    """What one pull has cost so far, over all its attempts.

    What several pulls share is charged to the one that began it. The `TrafficCounter` adds what crosses the network.

    Args:
        sources: Bytes that came, headers included, by the registry or mirror that was asked.
        useful: Those of them that were content that was not here before.
        retries: How often a connection failed or a request was refused for now, by cause.

    Attributes:
        sources: See above.
        useful: See above.
        retries: See above.
        requests: How many were answered, as far as this process knows.
        reused: Bytes of its layers that were here before its first attempt.
    """

    def __init__(self, sources: Mapping[str, int], useful: int, retries: Mapping[str, int]) -> None:
        self.requests = 0
        self.reused = 0
        self.sources = Counter(sources)
        self.useful = useful
        self.retries = Counter(retries)

    @property
    def received_bytes(self) -> int:
        """Bytes that came, headers included."""
        return sum(dict(self.sources).values())  # a copy: threads add to it

    def add(self, registry: str, traffic: Traffic) -> None:
        """Charge what crossed the network; one thread at a time calls."""
        self.sources[registry] += traffic.received
        self.useful += traffic.useful


_account: ContextVar[Account | None] = ContextVar("account", default=None)


def account() -> Account | None:
    """Return what this task or thread is charged to; None for nothing."""
    return _account.get()


@contextmanager
def charged_to(charged: Account) -> Iterator[None]:
    """Charge what the block costs, and the tasks and threads that are started in it."""
    token = _account.set(charged)
    try:
        yield
    finally:
        _account.reset(token)


_errand: ContextVar[Errand] = ContextVar("errand", default=Errand())  # noqa: B039  # it is frozen


def errand() -> Errand:
    """Return what this task or thread is on the network for."""
    return _errand.get()


@contextmanager
def on_errand(*, registry: str | None = None, image: str | None = None) -> Iterator[None]:
    """Count what the block receives, and the threads that are started in it, as for this; None leaves what was."""
    before = _errand.get()
    token = _errand.set(
        Errand(before.registry if registry is None else registry, before.image if image is None else image)
    )
    try:
        yield
    finally:
        _errand.reset(token)
