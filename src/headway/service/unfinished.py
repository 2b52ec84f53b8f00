"""Keeps unfinished downloads within the limits that the user has set (`distribution.unfinished`)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock

from headway.distribution.unfinished import Limits, Unfinished, too_much, too_old
from headway.errors import ConflictError, StoreError
from headway.interfaces.content import IngestStore
from headway.oci.digest import Digest
from headway.units import counted


class UnfinishedDownloads:
    """The unfinished downloads of a process.

    Args:
        ingests: Where they are.
        limits: What they are kept within.
        now: The time, seconds since the epoch.
    """

    def __init__(self, ingests: IngestStore, limits: Limits, *, now: Callable[[], float] = time.time) -> None:
        self._ingests = ingests
        self._limits = limits
        self._now = now
        self._lock = Lock()
        self._needed: Counter[Digest] = Counter()

    @contextmanager
    def needed(self, digests: Iterable[Digest]) -> Iterator[None]:
        """Keep these while the block runs, whatever the limits say: a pull under way needs them."""
        digests = tuple(digests)
        with self._lock:
            self._needed.update(digests)
        try:
            yield
        finally:
            with self._lock:
                self._needed -= Counter(digests)  # which forgets those that nobody needs any more

    def trim(self) -> str:
        """Remove what is beyond the limits; return a sentence about that, or nothing where nothing was.

        Raises:
            StoreError: It cannot be told what is there.
        """
        if self._limits == Limits():
            return ""
        found = [Unfinished(*each) for each in self._ingests.walk()]
        with self._lock:
            needed = set(self._needed)
        old = too_old(found, self._limits, now=self._now(), needed=needed)
        much = too_much((each for each in found if each not in old), self._limits, needed=needed)
        going = (("unfinished-max-age", self._discard(old)), ("unfinished-max-size", self._discard(much)))
        return "; ".join(_said(gone, limit) for limit, gone in going if gone)

    def _discard(self, going: Iterable[Unfinished]) -> list[Unfinished]:
        """Remove what is not open; return what is gone."""
        gone = []
        for each in going:
            try:
                self._ingests.discard(each.digest)
            except (ConflictError, StoreError):  # open; or a disk that is broken, which a pull will tell of
                continue
            gone.append(each)
        return gone


def _said(gone: list[Unfinished], limit: str) -> str:
    downloads = counted(len(gone), "unfinished download")
    return f"{downloads} ({sum(each.held for each in gone):,} bytes) removed, beyond {limit}"
