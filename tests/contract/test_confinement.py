"""Directories by their paths: what opening one costs, what stays open, and that the walk means what openat2 means."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.layers.trees.confinement import Root

LEVELS = 600  # few enough for pytest to remove them; a name of a layer may have 2,047


class Opened:
    """A root whose directories are made as they are needed."""

    def __init__(self, directory: Path, *, kernel: bool) -> None:
        self.directory = directory
        self.root = Root(directory, _make, kernel=kernel)

    def inode(self, path: bytes, *, create: bool = False) -> int:
        return os.fstat(self.root.directory(path, create=create)).st_ino


def _make(parent: int, name: bytes, path: bytes) -> None:
    del path
    os.mkdir(name, dir_fd=parent)


@pytest.fixture(params=[True, False], ids=["openat2", "walk"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    (tmp_path / "root").mkdir()
    opened = Opened(tmp_path / "root", kernel=request.param)
    yield opened
    opened.root.close()


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every component that is opened, as it is."""
    seen: list[object] = []
    real = os.open

    def count(path: bytes, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        seen.append(path)
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", count)
    return seen


def _levels(depth: int) -> bytes:
    return b"/".join([b"d"] * depth)


@pytest.mark.parametrize("order", ["down", "up", "anyhow"])
def test_every_directory_of_a_deep_path_is_found_in_few_steps(opened: Opened, opens: list[object], order: str) -> None:
    opened.inode(_levels(LEVELS), create=True)
    del opens[:]

    depths = {
        "down": range(1, LEVELS),
        "up": range(LEVELS, 1, -1),
        "anyhow": (n * 241 % LEVELS for n in range(LEVELS)),
    }
    inodes = {opened.inode(_levels(depth)) for depth in depths[order]}

    assert len(inodes) >= LEVELS - 1
    assert len(opens) <= 32 * LEVELS


def test_no_more_than_some_descriptors_stay_open(opened: Opened) -> None:
    before = len(os.listdir("/proc/self/fd"))

    for number in range(100):
        opened.inode(b"%d/%s" % (number, _levels(40)), create=True)

    assert len(os.listdir("/proc/self/fd")) - before <= 128
    opened.root.forget()
    assert len(os.listdir("/proc/self/fd")) == before


def test_two_directories_stay_open_while_others_are_passed(opened: Opened) -> None:
    first = opened.root.directory(b"first")
    inode = os.fstat(first).st_ino
    opened.root.directory(_levels(LEVELS))

    assert os.fstat(first).st_ino == inode


def test_a_directory_behind_a_remembered_one_is_where_the_links_lead(opened: Opened) -> None:
    opened.inode(b"real/inner", create=True)
    (opened.directory / "link").symlink_to("/real")
    (opened.directory / "real" / "up").symlink_to("inner/../..")

    assert opened.inode(b"link") == opened.inode(b"real")
    assert opened.root.detours[b"link"] == b"real"
    assert opened.inode(b"link/inner") == opened.inode(b"real/inner")
    assert opened.root.detours[b"link/inner"] == b"real/inner"
    assert opened.inode(b"link/up/real") == opened.inode(b"real")
    assert opened.root.detours[b"link/up/real"] == b"real"


def test_a_directory_that_is_moved_up_meanwhile_leads_nowhere_outside(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = opened.inode(b"a/x", create=True)
    opened.inode(b"a/b/c", create=True)
    (opened.directory / "a/b/c/link").symlink_to("../../x")
    (tmp_path / "x").mkdir()  # where two steps up lead from c once it is at the top
    read = os.readlink

    def read_and_move(path: bytes, *, dir_fd: int | None = None) -> bytes:
        target = read(path, dir_fd=dir_fd)
        os.rename(opened.directory / "a/b/c", opened.directory / "c")
        return target

    monkeypatch.setattr(os, "readlink", read_and_move)

    assert opened.inode(b"a/b/c/link") == inside


def test_what_is_remembered_is_no_way_around_the_limit_of_links(opened: Opened) -> None:
    (opened.directory / "s").symlink_to(".")

    for links in range(1, 41):
        opened.root.directory(b"/".join([b"s"] * links), create=False)

    with pytest.raises(OSError, match="Too many"):
        opened.root.directory(b"/".join([b"s"] * 41), create=False)


@pytest.mark.parametrize("warm", [False, True])
def test_links_lead_no_longer_way_than_a_path_may_be(opened: Opened, *, warm: bool) -> None:
    opened.inode(b"a", create=True)
    opened.inode(b"end", create=True)
    (opened.directory / "s0").symlink_to("end")
    for number in range(1, 6):
        (opened.directory / f"s{number}").symlink_to("a/../" * 600 + f"s{number - 1}")
    if warm:
        for number in range(4):
            opened.root.directory(b"s%d" % number)

    assert opened.inode(b"s3") == opened.inode(b"end")
    with pytest.raises(OSError, match="Too many"):
        opened.root.directory(b"s4")
    with pytest.raises(OSError, match="Too many"):
        opened.root.directory(b"s3/../" + b"a/../" * 600 + b"a")


def test_what_was_forgotten_is_looked_up_again(opened: Opened) -> None:
    old = opened.inode(_levels(40), create=True)
    os.rename(opened.directory / "d", opened.directory / "e")
    opened.root.forget()

    assert opened.inode(_levels(40), create=True) != old


def test_detours_take_no_more_room_than_what_is_kept(opened: Opened) -> None:
    for number in range(500):
        (opened.directory / f"s{number}").symlink_to(".")
        opened.inode(b"s%d" % number)

    assert len(opened.root.detours) <= 64
    assert opened.root.detours[b"s499"] == b""
