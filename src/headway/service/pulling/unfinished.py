"""Removes unfinished downloads beyond the user's limits of age and size, as `distribution.unfinished` decides."""

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
        ingests: The unfinished downloads.
        limits: Of age and of size.
        now: Seconds since the epoch.
    """

    def __init__(self, ingests: IngestStore, limits: Limits, *, now: Callable[[], float] = time.time) -> None:
        self._ingests = ingests
        self._limits = limits
        self._now = now
        self._lock = Lock()
        self._needed: Counter[Digest] = Counter()

    @contextmanager
    def needed(self, digests: Iterable[Digest]) -> Iterator[None]:
        """Keep these downloads while the block runs, whatever the limits say: a running pull needs them."""
        digests = tuple(digests)
        with self._lock:
            self._needed.update(digests)
        try:
            yield
        finally:
            with self._lock:
                self._needed -= Counter(digests)  # drops counts of 0

    def trim(self) -> str:
        """Remove what exceeds the limits; return a sentence that says so, or an empty text if nothing was removed.

        Raises:
            StoreError: The downloads cannot be listed.
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
        """Remove downloads that are not open; return those that were removed."""
        gone = []
        for each in going:
            try:
                self._ingests.discard(each.digest)
            except (ConflictError, StoreError):  # open now; or the disk fails, which the next pull reports
                continue
            gone.append(each)
        return gone


def _said(gone: list[Unfinished], limit: str) -> str:
    downloads = counted(len(gone), "unfinished download")
    return f"{downloads} ({sum(each.held for each in gone):,} bytes) removed, beyond {limit}"
