"""A layer that is unpacked in a process of its own comes out as in a thread, and nothing of the process stays."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from headway.errors import InvalidLayerError, StoreError, StoreFullError
from headway.interfaces.files import Applier, TarSource
from headway.layers.applying import apply
from headway.layers.processes import FAST_SECONDS, Processes
from headway.oci.digest import DiffID
from headway.records import LayerReport
from tests.fakes.tars import Source, directory, file, header, symlink, tar, whiteout
from tests.fakes.trees import differences

LAYER = gzip.compress(
    tar(
        directory("d", mode=0o555),
        *(file(f"d/f{number}", os.urandom(700), mode=0o4755, mtime=number) for number in range(200)),
        symlink("l", "d"),
        file(b"d/no text \xff", b"odd"),
        file("implicit/f", b"1"),
        whiteout("gone"),
    )
)


IN_THREAD = partial(apply, records=True)
Unpack = Callable[[TarSource, Path, Callable[[int], None]], tuple[DiffID, LayerReport]]


class Watched:
    """A source that tells which processes there are, each time it is read."""

    def __init__(self, data: bytes, then: Callable[[int], None] = lambda _: None) -> None:
        self._source = Source(data, 4096)
        self._then = then
        self.children: set[int] = set()

    def read(self, limit: int) -> bytes:
        found = set(_children())
        self.children |= found
        for each in found:
            self._then(each)
        return self._source.read(limit)


def apart(applier: Applier) -> Unpack:
    """Let an applier work in a thread made for it, whose umask it changes."""

    def applied(source: TarSource, place: Path, progress: Callable[[int], None]) -> tuple[DiffID, LayerReport]:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(applier, source, place, progress).result()

    return applied


def _children() -> Iterator[int]:
    """Yield the processes that unpack for this one; there may be servers that other tests have started."""
    for thread in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # one has just ended
            for child in (thread / "children").read_text().split():
                if b"headway.layers.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                    yield int(child)


def in_process(data: bytes, place: Path) -> tuple[DiffID, LayerReport]:
    place.mkdir()
    source = Watched(data)
    found = apart(Processes(1, records=True, large=1))(source, place, lambda _: None)
    assert source.children
    return found


def test_a_process_gives_what_a_thread_gives(tmp_path: Path) -> None:
    (tmp_path / "thread").mkdir()
    told: list[int] = []

    expected = apart(IN_THREAD)(Source(LAYER, 4096), tmp_path / "thread", told.append)
    found = in_process(LAYER, tmp_path / "process")

    assert found == expected
    assert differences(tmp_path / "process", tmp_path / "thread") == {}
    recipes = [(tmp_path / f"{name}.recipe") for name in ("process", "thread")]
    assert len({path.read_bytes() for path in recipes}) == 1


def test_it_says_how_much_of_the_blob_was_taken(tmp_path: Path) -> None:
    told: list[int] = []

    apart(Processes(1, records=False, large=1))(Source(LAYER, 4096), tmp_path, told.append)

    assert told == sorted(told)
    assert told[-1] == len(LAYER)


@pytest.mark.parametrize("records", [True, False])
def test_it_records_only_where_it_should(tmp_path: Path, records: bool) -> None:  # noqa: FBT001
    (tmp_path / "tree").mkdir()

    apart(Processes(1, records=records, large=1))(Source(LAYER, 4096), tmp_path / "tree", lambda _: None)

    assert len(list(tmp_path.iterdir())) == 1 + records


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (LAYER[:-20], "truncated gzip stream"),
        (gzip.compress(header(b"x", kind=b"Z", size=0) + bytes(1024)), "its kind b'Z' is not known"),
        (b"\x1f\x8b\x08\0" + b"\xff" * 100, "gzip"),
    ],
)
def test_what_is_wrong_with_a_layer_is_told_as_in_a_thread(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(InvalidLayerError, match=message):
        in_process(data, tmp_path / "tree")

    assert list(_children()) == []


def test_a_full_disk_is_told_as_one(small_disk: Path) -> None:
    big = gzip.compress(tar(file("big", os.urandom(1_000_000))), compresslevel=1)

    with pytest.raises(StoreFullError) as caught:
        in_process(big, small_disk / "tree")

    assert caught.value.path == str(small_disk / "tree")


def test_a_source_that_is_stopped_ends_the_process(tmp_path: Path) -> None:
    source = _Stopped(LAYER)

    with pytest.raises(InterruptedError):
        apart(Processes(1, records=True, large=1))(source, tmp_path, lambda _: None)

    assert list(_children()) == []


class _Stopped(Watched):
    def read(self, limit: int) -> bytes:
        data = super().read(limit)
        if self.children:
            raise InterruptedError
        return data


def test_a_process_that_is_killed_is_told(tmp_path: Path) -> None:
    source = Watched(LAYER, lambda child: os.kill(child, signal.SIGKILL))

    with pytest.raises(StoreError, match="ended with -9 and said nothing"):
        apart(Processes(1, records=True, large=1))(source, tmp_path, lambda _: None)


@pytest.mark.parametrize("python", ["/nonexistent", "/bin/false"])
def test_where_no_process_starts_the_thread_unpacks(tmp_path: Path, python: str) -> None:
    (tmp_path / "thread").mkdir()
    (tmp_path / "tree").mkdir()
    expected = apart(IN_THREAD)(Source(LAYER, 4096), tmp_path / "thread", lambda _: None)

    found = apart(Processes(1, records=True, large=1, python=python))(
        Source(LAYER, 4096), tmp_path / "tree", lambda _: None
    )

    assert found == expected


def _without(processes: Processes, data: bytes, place: Path) -> bool:
    """Tell whether a layer is unpacked without a process."""
    source = Watched(data)
    apart(processes)(source, place, lambda _: None)
    return not source.children


def test_a_small_layer_needs_no_process(tmp_path: Path) -> None:
    assert _without(Processes(1, records=True, large=len(LAYER) + 1), LAYER, tmp_path)


def test_a_layer_that_comes_slowly_needs_no_process(tmp_path: Path) -> None:
    ticks = iter(range(1000))

    assert _without(
        Processes(1, records=True, large=1, clock=lambda: next(ticks) * (FAST_SECONDS + 1)), LAYER, tmp_path
    )


def test_without_a_place_the_thread_unpacks(tmp_path: Path) -> None:
    assert _without(Processes(0, records=True, large=1), LAYER, tmp_path)


def test_a_place_is_free_again_behind_a_failure(tmp_path: Path) -> None:
    processes = Processes(1, records=False, large=1)
    with pytest.raises(InvalidLayerError):
        apart(processes)(Source(LAYER[:100], 4096), tmp_path, lambda _: None)
    (tmp_path / "tree").mkdir()

    assert not _without(processes, LAYER, tmp_path / "tree")


_PARENT = """\
import sys, time
from pathlib import Path
from headway.layers.processes import Processes
class Stalls:
    def read(self, limit):
        if limit == 1:
            return b"\\x1f"
        print("stalls", flush=True)
        time.sleep(60)
Processes(1, records=True, large=1)(Stalls(), Path(sys.argv[1]), lambda _: None)
"""


def test_a_process_ends_with_whoever_started_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": os.pathsep.join(sys.path)}) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        (child,) = map(int, Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split())

        parent.kill()
        parent.wait()

    deadline = time.monotonic() + 10
    while _is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _is_alive(child)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
