"""Unfinished downloads beyond a limit: which of them go, and what is said."""

from __future__ import annotations

from contextlib import nullcontext
from itertools import count

import pytest

from headway.distribution.unfinished import Limits
from headway.errors import StoreFullError
from headway.oci.digest import Digest
from headway.service.concurrency.executors import Executors
from headway.service.pulling.disk_care import DiskCare
from headway.service.pulling.preflight import Preflight
from headway.service.pulling.unfinished import UnfinishedDownloads
from tests.fakes.memory import MemoryBlobStore, MemoryIngestStore

OLD, YOUNG = Digest.of(b"old"), Digest.of(b"young")


@pytest.fixture
def ingests() -> MemoryIngestStore:
    """A store with two of 100 bytes each, written at 1 and 2 seconds."""
    clock = count(1)
    store = MemoryIngestStore(MemoryBlobStore(), clock=lambda: next(clock))
    for digest in (OLD, YOUNG):
        ingest = store.open(digest, 1000)
        ingest.write_at(0, bytes(100))
        ingest.close()
    return store


def left(ingests: MemoryIngestStore) -> list[Digest]:
    return [digest for digest, _, _ in ingests.walk()]


def test_without_limits_nothing_is_removed_or_said(ingests: MemoryIngestStore) -> None:
    said = UnfinishedDownloads(ingests, Limits(), now=lambda: 1e9).trim()

    assert (said, left(ingests)) == ("", [OLD, YOUNG])


def test_what_goes_is_said_in_one_line(ingests: MemoryIngestStore) -> None:
    said = UnfinishedDownloads(ingests, Limits(max_age_seconds=10, max_bytes=50), now=lambda: 11.5).trim()

    assert said == (
        "1 unfinished download (100 bytes) removed, beyond unfinished-max-age; "
        "1 unfinished download (100 bytes) removed, beyond unfinished-max-size"
    )
    assert left(ingests) == []


@pytest.mark.parametrize("error", [None, StoreFullError("/")])
async def test_limits_make_room_before_it_is_looked_for_and_when_a_pull_has_ended_or_failed(
    ingests: MemoryIngestStore, error: StoreFullError | None
) -> None:
    seen: list[list[Digest]] = []

    class Room(Preflight):
        def __init__(self) -> None:
            """Have nothing to look at."""

        def check(self, _: object) -> str:
            seen.append(left(ingests))
            return ""

    downloads = UnfinishedDownloads(ingests, Limits(max_bytes=150))
    executors = Executors()
    said: list[str] = []

    with nullcontext() if error is None else pytest.raises(StoreFullError):
        async with DiskCare(executors, Room(), downloads).around([], said.append):
            ingest = ingests.open(OLD, 1000)
            ingest.write_at(0, bytes(100))
            ingest.close()
            if error is not None:
                raise error
    executors.close()

    assert (seen, left(ingests), len(said)) == ([[YOUNG]], [OLD], 2)


def test_a_digest_that_nobody_needs_any_more_is_forgotten(ingests: MemoryIngestStore) -> None:
    class Downloads(UnfinishedDownloads):
        @property
        def known(self) -> set[Digest]:
            return set(self._needed)

    downloads = Downloads(ingests, Limits())
    with downloads.needed([OLD]):
        with downloads.needed([OLD, YOUNG, YOUNG]):
            pass
        meanwhile = downloads.known

    assert (meanwhile, downloads.known) == ({OLD}, set())


def test_what_is_open_or_needed_stays(ingests: MemoryIngestStore) -> None:
    downloads = UnfinishedDownloads(ingests, Limits(max_bytes=0))

    opened = ingests.open(OLD, 1000)
    with downloads.needed([YOUNG]):
        meanwhile = downloads.trim(), left(ingests)
    opened.close()
    afterwards = downloads.trim(), left(ingests)

    assert meanwhile == ("", [OLD, YOUNG])
    assert afterwards == ("2 unfinished downloads (200 bytes) removed, beyond unfinished-max-size", [])
