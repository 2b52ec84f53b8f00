"""What of a body goes where."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from headway.distribution.backoff import RetryPolicy
from headway.distribution.download import Ended
from headway.distribution.skipping import RangeIgnoredError
from headway.distribution.spread import Fetch
from headway.distribution.standing import Standing
from headway.errors import Fault, HeadwayError, UnreachableError
from headway.oci.digest import Digest
from headway.service.concurrency.executors import Executors
from headway.service.transfers.receiver import Receiver
from headway.service.transfers.tools import TransferTools
from tests.fakes.memory import MemoryBlobStore, MemoryIngest, MemoryIngestStore
from tests.fakes.simulated_registry import SimulatedRegistry

BLOB = bytes(range(200))


class Body:
    """A `BlobStream` that brings prepared pieces.

    Args:
        start: Offset of the first byte in the blob.
        pieces: What each `read` gives; an error is raised instead.
    """

    def __init__(self, start: int, pieces: Iterable[bytes | HeadwayError]) -> None:
        self.stall_limit_seconds = 0.0
        self.received_bytes = 0
        self.is_closed = False
        self._start = start
        self._pieces = iter(pieces)

    def open(self) -> int:
        return self._start

    def read(self) -> bytes:
        piece = next(self._pieces, b"")
        if isinstance(piece, HeadwayError):
            raise piece
        return piece

    def abort(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.is_closed = True


def ingest_with(*held: tuple[int, bytes]) -> MemoryIngest:
    ingest = MemoryIngestStore(MemoryBlobStore()).open(Digest.of(BLOB), len(BLOB))
    for offset, data in held:
        ingest.write_at(offset, data)
    return ingest


def tools(clock: Callable[[], float]) -> TransferTools:
    return TransferTools(
        registry=SimulatedRegistry(),
        executors=Executors(),
        standing=Standing(),
        policy=RetryPolicy,
        clock=clock,
        jitter=lambda: 0.0,
    )


def receive(ingest: MemoryIngest, fetch: Fetch, start: int, *pieces: bytes | HeadwayError) -> Ended:
    stream = Body(start, pieces)
    times = iter(range(1000))
    receiver = Receiver(fetch, stream, ingest, tools=tools(lambda: next(times) / 100), host="r")
    ended = receiver.run()
    assert stream.is_closed
    return ended


def test_pieces_are_written_behind_each_other() -> None:
    ingest, fetch = ingest_with(), Fetch(0, 50, 150, 200)

    ended = receive(ingest, fetch, 50, BLOB[50:60], BLOB[60:150])

    assert list(ingest.held()) == [(50, 150)]
    assert ingest.read_at(50, 100) == BLOB[50:150]
    assert (ended.flowed_bytes, ended.skipped, ended.error) == (100, 0, None)
    assert fetch.position == 150


def test_how_long_the_first_byte_took_is_told_whatever_the_others_take() -> None:
    fetch, now = Fetch(0, 0, 200, 200), 100.0

    def pieces() -> Iterable[bytes]:
        nonlocal now
        for seconds, piece in ((3.0, BLOB[:50]), (5.0, BLOB[50:120]), (7.0, BLOB[120:])):
            now += seconds
            yield piece

    Receiver(fetch, Body(0, pieces()), ingest_with(), tools=tools(lambda: now), host="r").run()

    assert fetch.waited_seconds == 3.0


def test_what_was_not_asked_for_is_not_written() -> None:
    ingest, fetch = ingest_with(), Fetch(0, 50, 60, 200)

    receive(ingest, fetch, 50, BLOB[50:200])

    assert list(ingest.held()) == [(50, 60)]


def test_an_end_that_moves_meanwhile_is_the_end() -> None:
    ingest, fetch = ingest_with(), Fetch(0, 0, 200, 200)

    def pieces() -> Iterable[bytes]:
        yield BLOB[:50]
        fetch.end = 60
        yield BLOB[50:100]
        yield BLOB[100:]

    ended = Receiver(fetch, Body(0, pieces()), ingest, tools=tools(lambda: 0.0), host="r").run()

    assert list(ingest.held()) == [(0, 60)]
    assert ended.error is None


def test_who_is_ended_since_others_do_its_work_has_not_failed() -> None:
    fetch = Fetch(0, 0, 200, 200)

    def pieces() -> Iterable[HeadwayError]:
        fetch.end = 0  # while it waits for its first byte
        yield UnreachableError("r", Fault.CUT, "aborted")

    ended = Receiver(fetch, Body(0, pieces()), ingest_with(), tools=tools(lambda: 0.0), host="r").run()

    assert ended.error is None


def test_what_a_server_that_ignores_ranges_sends_in_front_is_skipped() -> None:
    ingest, fetch = ingest_with((0, BLOB[:50])), Fetch(0, 50, 200, 200)

    ended = receive(ingest, fetch, 0, b"?" * 40, b"?" * 10 + BLOB[50:80], BLOB[80:])

    assert ingest.read_at(0, 200) == BLOB
    assert (ended.flowed_bytes, ended.skipped, ended.ignored_range) == (200, 50, True)


def test_more_of_that_than_is_allowed_is_not_read() -> None:
    ingest, fetch = ingest_with((0, BLOB[:50])), Fetch(0, 50, 200, 49)

    ended = receive(ingest, fetch, 0, b"?")

    assert isinstance(ended.error, RangeIgnoredError)
    assert ended.flowed_bytes == 0
    assert ended.ignored_range


def test_what_arrived_before_an_error_stays() -> None:
    ingest, fetch = ingest_with(), Fetch(0, 0, 200, 200)
    cut = UnreachableError("r", Fault.CUT)

    ended = receive(ingest, fetch, 0, BLOB[:70], cut)

    assert list(ingest.held()) == [(0, 70)]
    assert ended.error is cut
    assert fetch.position == 70


def test_where_bytes_are_doubted_those_that_differ_are_replaced_and_a_little_behind_them_is_looked_at() -> None:
    wrong = BLOB[:65] + b"!" + BLOB[66:]
    ingest, fetch = ingest_with((0, wrong)), Fetch(0, 40, 200, 200, check_bytes=50)

    ended = receive(ingest, fetch, 40, BLOB[40:60], BLOB[60:80], BLOB[80:100], BLOB[100:120], BLOB[120:])

    assert ingest.read_at(0, 200) == BLOB
    assert ended.differs
    assert fetch.position == 110


@pytest.mark.parametrize("check_bytes", [1, 50])
def test_where_nothing_differs_the_comparison_goes_to_the_end(check_bytes: int) -> None:
    ingest, fetch = ingest_with((0, BLOB)), Fetch(0, 40, 200, 200, check_bytes=check_bytes)

    ended = receive(ingest, fetch, 40, BLOB[40:120], BLOB[120:])

    assert not ended.differs
    assert fetch.position == 200
