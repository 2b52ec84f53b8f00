"""Directories that stay open: whatever path is asked for, what comes back is that directory or an error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.layers.trees.directories import Directories


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "a" / "b").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def directories(tree: Path) -> Iterator[Directories]:
    with Directories([tree]) as opened:
        yield opened


@pytest.mark.parametrize(("path", "inside"), [("", "."), ("a", "a"), ("a/b", "a/b"), ("a//b", "a/b")])
def test_a_path_is_taken_from_the_root(directories: Directories, tree: Path, path: str, inside: str) -> None:
    assert os.path.samestat(os.fstat(directories.open(0, path)), (tree / inside).stat())
    assert os.path.samestat(os.fstat(directories.open(0, os.fsencode(path))), (tree / inside).stat())


@pytest.mark.parametrize("path", ["/", "//", "/a", "//a", "a/", "b", "../a/c"])
def test_what_names_no_directory_is_not_there(directories: Directories, path: str) -> None:
    with pytest.raises(FileNotFoundError):
        directories.open(0, path)


def test_deeper_than_what_stays_open_every_directory_is_found(tree: Path) -> None:
    before = os.listdir("/proc/self/fd")
    deep = "/".join(["d"] * 150)
    (tree / deep).mkdir(parents=True)
    with Directories([tree], os.O_PATH | os.O_NOFOLLOW) as opened:
        for path in ("d/d", deep, "d/d", "a/b", deep):
            assert os.path.samestat(os.fstat(opened.open(0, path)), (tree / path).stat())
        assert len(os.listdir("/proc/self/fd")) - len(before) <= 65

    assert os.listdir("/proc/self/fd") == before
