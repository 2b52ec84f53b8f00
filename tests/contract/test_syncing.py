"""One sync for all who wait, and errors for all who may have lost something."""

from __future__ import annotations

import errno
from pathlib import Path
from threading import Event, Thread

import pytest

from headway.errors import StoreError, StoreFullError
from headway.store.syncing import Syncer


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
        while syncer.waiting() < 5:
            pass
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
