"""Counts the bytes that cross the network, by day, registry and image."""

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
        image: The reference as requested, in its familiar form; empty for bytes that are for no image.
    """

    registry: str = ""
    image: str = ""


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that crossed the network.

    Attributes:
        received: Bytes received, including headers (as counted before TLS).
        useful: Those of them that were new content.
        reused: Bytes of pulls' layers that did not have to be fetched, since they were here already.
        sent: Bytes of pushes' blobs and manifests that went over connections, including those that were sent again.
    """

    received: int = 0
    useful: int = 0
    reused: int = 0
    sent: int = 0

    @property
    def wasted(self) -> int:
        """Bytes received that were no new content: headers, other requests, duplicates, damaged content."""
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
        errand: The registry, and the image.
        traffic: The bytes.
    """

    day: str
    errand: Errand
    traffic: Traffic


class TrafficStore(Protocol):
    """Stores the sums durably."""

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
        """Count new content; a negative number takes back content that turned out to be damaged."""

    def reused(self, count: int) -> None:
        """Count content that did not have to be fetched."""

    @property
    def has_counted(self) -> bool:
        """Whether anything was counted since the last `take`."""

    def take(self) -> Mapping[Errand, Traffic]:
        """Return what was counted since the last call."""


class Account:
    """What one pull has cost so far, over all its attempts.

    A transfer that several pulls share is charged to the one that began it. The `TrafficCounter` adds the bytes.

    Args:
        sources: Bytes received, including headers, by the registry or mirror that sent them.
        useful: Those of them that were new content.
        retries: How often a connection failed or a request was refused for now, by cause.

    Attributes:
        sources: See above.
        useful: See above.
        retries: See above.
        requests: How many requests were answered during this process.
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
        """Bytes received, including headers."""
        return sum(dict(self.sources).values())  # a copy: threads add to it

    def add(self, registry: str, traffic: Traffic) -> None:
        """Charge bytes that crossed the network; called by one thread at a time."""
        self.sources[registry] += traffic.received
        self.useful += traffic.useful


_account: ContextVar[Account | None] = ContextVar("account", default=None)


def account() -> Account | None:
    """Return the account that this task or thread is charged to; None for none."""
    return _account.get()


@contextmanager
def charged_to(charged: Account) -> Iterator[None]:
    """Charge an account for the block, and for the tasks and threads that are started in it."""
    token = _account.set(charged)
    try:
        yield
    finally:
        _account.reset(token)


_errand: ContextVar[Errand] = ContextVar("errand", default=Errand())  # noqa: B039  # it is frozen


def errand() -> Errand:
    """Return the errand that this task or thread uses the network for."""
    return _errand.get()


@contextmanager
def on_errand(*, registry: str | None = None, image: str | None = None) -> Iterator[None]:
    """Count bytes that the block and threads started in it receive for an errand; None keeps the current one."""
    before = _errand.get()
    token = _errand.set(
        Errand(before.registry if registry is None else registry, before.image if image is None else image)
    )
    try:
        yield
    finally:
        _errand.reset(token)
