"""A layer whose small files another process writes comes out as in one thread, and nothing of the process stays."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

from headway.errors import InvalidLayerError, StoreError, StoreFullError
from headway.interfaces.files import Applier, TarSource
from headway.layers.tar.entry import Entry
from headway.layers.unpacking.applier import apply_layer
from headway.layers.unpacking.handoff import Undone
from headway.layers.unpacking.recording_applier import apply
from headway.layers.unpacking.worker_handoff import WorkerHandoff
from headway.layers.unpacking.workers import FAST_SECONDS, Workers
from headway.oci.digest import DiffID
from headway.records import LayerReport
from tests.fakes.recipes import given_back, record
from tests.fakes.tars import Source, directory, file, hardlink, header, symlink, tar, whiteout
from tests.fakes.trees import differences
from tests.fakes.waiting import wait_until

MANY = [file(f"d/e{number // 50}/f{number}", os.urandom(700), mtime=number) for number in range(900)]
LAYER = gzip.compress(
    tar(
        directory("d", mode=0o555),
        *(directory(f"d/e{number}") for number in range(18)),
        *MANY,
        *(file(f"d/s{number}", b"s" * number, mode=0o4755, mtime=number) for number in range(20)),
        symlink("l", "d"),
        file(b"d/no text \xff", b"odd"),
        file("d/empty"),
        file("d/large", os.urandom(100_000)),
        file("implicit/f", b"1"),
        hardlink("linked", "d/e3/f199"),
        whiteout("gone"),
    )
)


IN_THREAD = partial(apply, records=True)
Unpack = Callable[[TarSource, Path, Callable[[int], None]], tuple[DiffID, LayerReport]]


class Watched:
    """A source that tells which workers there are, each time it is read."""

    def __init__(self, data: bytes, then: Callable[[int], None] = lambda _: None) -> None:
        self._source = Source(data, 4096)
        self._then = then
        self.children: set[int] = set()

    def read(self, limit: int) -> bytes:
        found = set(_children()) - self._others()
        self.children |= found
        for each in found:
            self._then(each)
        return self._source.read(limit)

    @staticmethod
    def _others() -> set[int]:
        return _SHARED


_SHARED: set[int] = set()


@pytest.fixture(autouse=True)
def no_others() -> Iterator[None]:
    """Know the worker that all tests share, if it is there."""
    _SHARED.update(_children())
    yield
    _SHARED.clear()


def apart(applier: Applier) -> Unpack:
    """Let an applier work in a thread made for it, whose umask it changes."""

    def applied(source: TarSource, place: Path, progress: Callable[[int], None]) -> tuple[DiffID, LayerReport]:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(applier, source, place, progress).result()

    return applied


def _children() -> Iterator[int]:
    """Yield the workers of this process; there may be servers that other tests have started."""
    for thread in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # one has just ended
            for child in (thread / "children").read_text().split():
                if b"headway.layers.unpacking.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                    yield int(child)


def _mine() -> set[int]:
    return set(_children()) - _SHARED


def with_worker(*, records: bool = True, large: int = 1, python: str = sys.executable) -> Workers:
    return Workers(is_worth_it=True, records=records, large=large, worth=1, python=python)


def handed_over(data: bytes, place: Path) -> tuple[DiffID, LayerReport]:
    place.mkdir()
    source = Watched(data)
    found = apart(with_worker())(source, place, lambda _: None)
    assert source.children
    return found


def test_a_worker_gives_what_one_thread_gives(tmp_path: Path) -> None:
    (tmp_path / "thread").mkdir()
    told: list[int] = []

    expected = apart(IN_THREAD)(Source(LAYER, 4096), tmp_path / "thread", told.append)
    found = handed_over(LAYER, tmp_path / "worker")

    assert found == expected
    assert differences(tmp_path / "worker", tmp_path / "thread") == {}
    recipes = [(tmp_path / f"{name}.recipe") for name in ("worker", "thread")]
    assert len({path.read_bytes() for path in recipes}) == 1
    assert _mine() == set()


class Noting(WorkerHandoff):
    """A handoff that notes what it has taken."""

    taken: ClassVar[list[bytes]] = []

    def take(self, entry: Entry, parent: int, path: bytes, body: Iterable[memoryview]) -> bool:
        is_taken = super().take(entry, parent, path, body)
        if is_taken:
            self.taken.append(path)
        return is_taken


def test_small_files_are_written_by_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headway.layers.unpacking.workers.WorkerHandoff", Noting)
    Noting.taken.clear()

    apart(with_worker(records=False))(Source(LAYER, 4096), tmp_path, lambda _: None)

    assert len(Noting.taken) > len(MANY) / 10
    assert not {b"d/large", b"d/s1", b"linked"} & set(Noting.taken)


def test_it_says_how_much_of_the_blob_was_taken(tmp_path: Path) -> None:
    told: list[int] = []

    apart(with_worker(records=False))(Source(LAYER, 4096), tmp_path, told.append)

    assert told == sorted(told)
    assert told[-1] == len(LAYER)


@pytest.mark.parametrize("records", [True, False])
def test_it_records_only_where_it_should(tmp_path: Path, records: bool) -> None:  # noqa: FBT001
    (tmp_path / "tree").mkdir()

    apart(with_worker(records=records))(Source(LAYER, 4096), tmp_path / "tree", lambda _: None)

    assert len(list(tmp_path.iterdir())) == 1 + records


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (LAYER[:-20], "truncated gzip stream"),
        (gzip.compress(header(b"x", kind=b"Z", size=0) + bytes(1024)), "its kind b'Z' is not known"),
        (b"\x1f\x8b\x08\0" + b"\xff" * 100, "gzip"),
        (gzip.compress(tar(file("f"), file("n" * 256))), f"entry '{'n' * 256}' cannot be unpacked: File name too long"),
    ],
)
def test_what_is_wrong_with_a_layer_is_told_as_in_one_thread(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(InvalidLayerError, match=message):
        handed_over(data, tmp_path / "tree")

    assert _mine() == set()


def test_a_full_disk_is_told_as_one(small_disk: Path) -> None:
    files = [file(f"f{number}", os.urandom(20_000)) for number in range(50)]

    with pytest.raises(StoreFullError) as caught:
        handed_over(gzip.compress(tar(*files), compresslevel=1), small_disk / "tree")

    assert caught.value.path == str(small_disk / "tree")


# --- what comes twice, or meets what is on its way ---


@pytest.mark.parametrize(
    "items",
    [
        [*MANY, file("d/e0/f0", b"again")],
        [*MANY, directory("d/e0/f0"), file("d/e0/f0/below", b"x")],
        [*MANY, symlink("d/e0/f0", "f1"), file("other", b"x")],
        [*MANY, symlink("l", "d"), file("l/e17/f899", b"through a link")],
        [*MANY, hardlink("d/e17/g", "d/e17/f899"), file("d/e17/f899", b"new")],
        [*MANY, whiteout("d/e17/f899")],
        [*MANY, file("d/e17", b"instead of a directory")],
        [*MANY, file("d/e17/f899/below", b"a file is no directory")],
    ],
    ids=[
        "twice",
        "directory",
        "symlink",
        "alias",
        "hard link",
        "whiteout",
        "in place of its directory",
        "as directory",
    ],
)
def test_an_entry_that_touches_a_file_on_its_way_finds_it(
    tmp_path: Path, workers: Workers, items: list[object]
) -> None:
    archive = tar(*items)  # type: ignore[arg-type]  # a list of items
    results = []
    for name in ("alone", "worker"):
        (tmp_path / name).mkdir()
        try:
            if name == "alone":
                record(archive, tmp_path / name)
            else:
                with workers.handing_off() as hand_off:
                    record(archive, tmp_path / name, hand_off=hand_off)
        except InvalidLayerError as error:
            results.append(str(error))
        else:
            results.append("")
            assert given_back(tmp_path / name) == archive

    assert results[0] == results[1]
    assert differences(tmp_path / "alone", tmp_path / "worker") == {}


# --- the life of a worker ---


def test_a_source_that_is_stopped_ends_the_worker(tmp_path: Path) -> None:
    source = _Stopped(LAYER)

    with pytest.raises(InterruptedError):
        apart(with_worker())(source, tmp_path, lambda _: None)

    assert _mine() == set()


class _Stopped(Watched):
    def read(self, limit: int) -> bytes:
        data = super().read(limit)
        if self.children:
            raise InterruptedError
        return data


class Killing(WorkerHandoff):
    """A handoff whose worker stops with its first file, and is killed when its answers are waited for."""

    def take(self, entry: Entry, parent: int, path: bytes, body: Iterable[memoryview]) -> bool:
        is_first = not self.paths
        is_taken = super().take(entry, parent, path, body)
        if is_first and is_taken:
            self._tell(signal.SIGSTOP)
        return is_taken

    def settle(self) -> Iterator[Undone]:
        self._tell(signal.SIGKILL)
        return super().settle()

    @staticmethod
    def _tell(number: signal.Signals) -> None:
        for each in _mine():
            os.kill(each, number)


def test_a_worker_that_is_killed_at_work_is_told_and_the_next_layer_has_another(tmp_path: Path) -> None:
    workers = with_worker()
    (tmp_path / "next").mkdir()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headway.layers.unpacking.workers.WorkerHandoff", Killing)
        with pytest.raises(StoreError, match="the process that writes a layer's small files has ended"):
            apart(workers)(Source(LAYER, 4096), tmp_path, lambda _: None)

    assert not _without(workers, LAYER, tmp_path / "next")


def test_a_worker_that_does_not_start_in_time_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headway.layers.unpacking.workers.START_SECONDS", 0.05)
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    (tmp_path / "tree").mkdir()

    apart(with_worker(python=str(sleeper)))(Source(LAYER, 4096), tmp_path / "tree", lambda _: None)

    assert (tmp_path / "tree/d/e0/f0").stat().st_size == 700


def test_a_worker_that_was_killed_before_it_was_asked_is_done_without(tmp_path: Path) -> None:
    workers = with_worker()
    with workers.joined():
        (worker,) = _mine()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: not _is_alive(worker))

        with workers.handing_off() as hand_off:
            apply_layer(Source(LAYER), tmp_path, lambda _: None, hand_off=hand_off)

    assert (tmp_path / "d/e0/f0").stat().st_size == 700


@pytest.mark.parametrize("python", ["/nonexistent", "/bin/false"])
def test_where_no_worker_starts_the_thread_does_everything(tmp_path: Path, python: str) -> None:
    (tmp_path / "thread").mkdir()
    (tmp_path / "tree").mkdir()
    expected = apart(IN_THREAD)(Source(LAYER, 4096), tmp_path / "thread", lambda _: None)

    found = apart(with_worker(python=python))(Source(LAYER, 4096), tmp_path / "tree", lambda _: None)

    assert found == expected


def test_layers_that_are_unpacked_together_share_one_worker(tmp_path: Path) -> None:
    workers = with_worker(records=False)
    met = threading.Barrier(3)
    sources = [Watched(LAYER, lambda _: None if met.broken else _meet(met)) for _ in range(3)]

    with ThreadPoolExecutor(3) as pool:
        places = [tmp_path / str(number) for number in range(3)]
        for place in places:
            place.mkdir()
        found = list(pool.map(apart(workers), sources, places, [lambda _: None] * 3))

    assert len({child for source in sources for child in source.children}) == 1
    assert len(set(map(str, found))) == 1
    assert differences(places[0], places[2]) == {}
    assert _mine() == set()


def _meet(met: threading.Barrier) -> None:
    """Wait until all three have a worker, and then no more."""
    with suppress(threading.BrokenBarrierError):
        met.wait(20)
        met.abort()


def _without(workers: Workers, data: bytes, place: Path) -> bool:
    """Tell whether a layer is unpacked without a worker."""
    source = Watched(data)
    apart(workers)(source, place, lambda _: None)
    return not source.children


def test_a_small_layer_needs_no_worker(tmp_path: Path) -> None:
    assert _without(with_worker(large=len(LAYER) + 1), LAYER, tmp_path)


def test_a_layer_of_few_files_needs_no_worker(tmp_path: Path) -> None:
    assert _without(Workers(is_worth_it=True, records=True, large=1, worth=2000), LAYER, tmp_path)


def test_a_layer_that_comes_slowly_needs_no_worker(tmp_path: Path) -> None:
    ticks = iter(range(1000))
    clock = lambda: next(ticks) * (FAST_SECONDS + 1)  # noqa: E731 (it is one)

    assert _without(Workers(is_worth_it=True, records=True, large=1, worth=1, clock=clock), LAYER, tmp_path)


def test_on_one_core_the_thread_does_everything(tmp_path: Path) -> None:
    assert _without(Workers(is_worth_it=False, records=True, large=1, worth=1), LAYER, tmp_path)


_IMPORTS = """\
import sys
_, *sys.path = sys.argv
import headway.layers.unpacking.worker
print(*sorted(name for name in sys.modules if name.startswith("headway") or name in ("asyncio", "socket", "typing")))
"""


def test_a_worker_starts_with_no_more_than_it_needs() -> None:
    command = [sys.executable, "-I", "-S", "-c", _IMPORTS, *sys.path]

    imported = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()

    assert imported == [
        "headway",
        "headway.layers",
        "headway.layers.trees",
        "headway.layers.trees.inline",
        "headway.layers.unpacking",
        "headway.layers.unpacking.worker",
    ]


_PARENT = """\
import sys, time
from pathlib import Path
from headway.layers.unpacking.workers import Workers
with Workers(is_worth_it=True, records=True).joined():
    print("there", flush=True)
    time.sleep(60)
"""


def test_a_worker_ends_with_whoever_started_it() -> None:
    command = [sys.executable, "-c", _PARENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": os.pathsep.join(sys.path)}) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        (child,) = map(int, Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split())

        parent.kill()
        parent.wait()

    wait_until(lambda: not _is_alive(child))


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
