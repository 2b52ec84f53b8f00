"""One sync for all who wait, and errors for all who may have lost something."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from headway.errors import StoreError, StoreFullError
from headway.store.trees.syncing import Syncer
from tests.fakes.trees import nest
from tests.fakes.waiting import wait_until


def test_a_real_file_system_is_synced(tmp_path: Path) -> None:
    syncer = Syncer(tmp_path)

    with syncer.watching() as mark:
        (tmp_path / "file").write_text("x")
        syncer.sync(mark)


def test_those_who_wait_while_one_runs_share_the_next(tmp_path: Path) -> None:
    running, go_on = Event(), Event()
    syncs: list[int] = []

    def sync(_: int) -> None:
        syncs.append(len(syncs))
        running.set()
        assert go_on.wait(10)

    syncer = Syncer(tmp_path, sync=sync)
    with syncer.watching() as mark:
        first = Thread(target=syncer.sync, args=(mark,))
        first.start()
        assert running.wait(10)
        others = [Thread(target=syncer.sync, args=(mark,)) for _ in range(5)]
        for thread in others:
            thread.start()
        wait_until(lambda: syncer.waiting() == 6)
        go_on.set()
        for thread in [first, *others]:
            thread.join()

    assert syncs == [0, 1]


def test_an_error_counts_against_every_tree_under_way_and_no_later_one(tmp_path: Path) -> None:
    failures = [OSError(errno.ENOSPC, "full")]

    def sync(_: int) -> None:
        if failures:
            raise failures.pop()

    syncer = Syncer(tmp_path, sync=sync)
    with syncer.watching() as early:
        with syncer.watching() as other:
            with pytest.raises(StoreFullError):
                syncer.sync(other)
            with pytest.raises(StoreFullError):
                syncer.sync(other)
        with syncer.watching() as late:
            syncer.sync(late)
        with pytest.raises(StoreFullError):
            syncer.sync(early)


def test_a_directory_that_is_absent_is_an_error_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError), Syncer(tmp_path / "absent").watching():
        pass


@contextmanager
def slow_disk(path: Path, *, patience_seconds: float = 0.02) -> Iterator[tuple[Syncer, list[str], Event]]:
    """Give a syncer whose `syncfs` lasts until the event is set, and the names of the files it synced one by one."""
    synced: list[str] = []
    go_on = Event()

    def sync(_: int) -> None:
        assert go_on.wait(10)

    def sync_file(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        os.fdatasync(descriptor)

    try:
        yield Syncer(path, sync=sync, sync_file=sync_file, patience_seconds=patience_seconds), synced, go_on
    finally:
        go_on.set()


def test_where_all_takes_too_long_a_layers_own_files_are_enough(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "usr" / "lib").mkdir(parents=True)
    (tree / "usr" / "lib" / "file").write_text("x")
    (tree / "link").symlink_to("/etc/passwd")
    os.mkfifo(tree / "fifo")
    (tmp_path / "tree.recipe").write_text("x")
    (tmp_path / "somebody else's").write_text("x")

    with slow_disk(tmp_path) as (syncer, synced, _), syncer.watching() as mark:
        syncer.sync(mark, [tree, tmp_path / "tree.recipe", tmp_path / "absent.recipe"])

    names = ["tree", "tree/usr", "tree/usr/lib", "tree/usr/lib/file", "tree.recipe"]
    assert sorted(synced) == sorted(str(tmp_path / name) for name in names)


def test_a_slow_sync_of_all_goes_on_behind_and_keeps_its_descriptor(tmp_path: Path) -> None:
    with slow_disk(tmp_path) as (syncer, _, go_on):
        with syncer.watching() as mark:
            syncer.sync(mark, [tmp_path])
        with syncer.watching() as mark:
            late = Thread(target=syncer.sync, args=(mark,))
            late.start()
            wait_until(syncer.waiting)
            go_on.set()
            late.join(10)

    assert not late.is_alive()


def test_a_tree_too_deep_for_a_path_waits_for_the_sync_of_all(tmp_path: Path) -> None:
    nest(tmp_path, "d" * 200, 40)

    with slow_disk(tmp_path) as (syncer, synced, go_on), syncer.watching() as mark:
        deep = Thread(target=syncer.sync, args=(mark, [tmp_path]))
        deep.start()
        wait_until(lambda: len(synced) >= 15 and syncer.waiting())
        waited = deep.is_alive()
        go_on.set()
        deep.join(10)

    assert waited
    assert not deep.is_alive()


def test_a_file_that_cannot_be_synced_is_an_error_of_the_store(tmp_path: Path) -> None:
    go_on = Event()

    def sync(_: int) -> None:
        assert go_on.wait(10)

    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "broken")

    syncer = Syncer(tmp_path, sync=sync, sync_file=refuse, patience_seconds=0.02)

    with pytest.raises(StoreError), syncer.watching() as mark:
        syncer.sync(mark, [tmp_path])
    go_on.set()


def test_who_can_start_no_thread_says_so_and_the_next_one_waits_for_nothing(tmp_path: Path) -> None:
    syncer = Syncer(tmp_path)
    with syncer.watching() as mark:
        size = threading.stack_size(1 << 46)
        try:
            with pytest.raises(StoreError, match="thread"):
                syncer.sync(mark)
        finally:
            threading.stack_size(size)

        syncer.sync(mark)
