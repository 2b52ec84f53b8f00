"""Members of a tree that is deep, and of one that changes while it is read, as a running container's does."""

from __future__ import annotations

import os
import resource
import stat
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headway.layers.tar.entry import DIRECTORY, FILE
from headway.layers.trees.members import members
from tests.fakes.trees import nest

NO_ID = 0xFFFFFFFF  # linux/posix_acl.h, ACL_UNDEFINED_ID


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def found(parent: int) -> list[tuple[bytes, bytes]]:
    return [(entry.name, entry.kind) for entry, _ in members(parent, b".", b"")]


def before_opening(monkeypatch: pytest.MonkeyPatch, name: bytes, act: Callable[[], object]) -> None:
    """Have something happen between a look at `name` and its opening."""
    real = os.open

    def late(path: bytes, flags: int, *, dir_fd: int | None = None) -> int:
        if path == name:
            monkeypatch.undo()
            act()
        return real(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", late)


def test_depth_costs_neither_calls_nor_descriptors(tmp_path: Path, parent: int) -> None:
    depth = 600  # pytest removes old trees with a recursion
    nest(tmp_path, "d", depth, beside="z")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 80, limits[1]))

    try:
        names = [name for name, _ in found(parent)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    down = [b"d/" * number for number in range(1, depth + 1)]
    assert names == [*down, *[above + b"z" for above in [b"", *down[:-1]][::-1]]]


def test_of_all_that_is_above_few_paths_are_in_memory(tmp_path: Path, parent: int) -> None:
    depth, name = 600, "d" * 200
    nest(tmp_path, name, depth, beside="z")

    tracemalloc.start()
    try:
        count = sum(1 for _ in members(parent, b".", b""))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 2 * depth
    assert most < 100 * depth * len(name), "one path of each directory takes half of 600 times that of the deepest"


def test_a_file_that_goes_is_no_target_of_a_link(tmp_path: Path, parent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"content")
    os.link(tmp_path / "a", tmp_path / "b")
    os.link(tmp_path / "a", tmp_path / "c")
    before_opening(monkeypatch, b"a", (tmp_path / "a").unlink)

    assert found(parent)[0] == (b"b", FILE)


@pytest.mark.parametrize("kind", ["link", "directory", "socket", "nothing"])
def test_a_file_that_becomes_something_else_is_left_out(
    tmp_path: Path, parent: int, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").touch()

    def change() -> None:
        (tmp_path / "a").unlink()
        if kind == "link":
            (tmp_path / "a").symlink_to("b")
        elif kind == "directory":
            (tmp_path / "a").mkdir()
        elif kind == "socket":
            os.mknod(tmp_path / "a", 0o140600)

    before_opening(monkeypatch, b"a", change)

    assert found(parent) == [(b"b", FILE)]


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_directory_that_becomes_something_else_is_left_out(
    tmp_path: Path, parent: int, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    def change() -> None:
        (tmp_path / "a").rmdir()
        if kind == "link":
            (tmp_path / "a").symlink_to("b")
        else:
            (tmp_path / "a").touch()

    before_opening(monkeypatch, b"a", change)

    assert found(parent) == [(b"b/", DIRECTORY)]


@pytest.mark.skipif(os.geteuid() != 0, reason="sets attributes of trusted and security")
def test_attributes_come_with_a_file_but_for_those_of_this_machine_and_of_overlay(tmp_path: Path, parent: int) -> None:
    acl = struct.pack("<I" + "HHI" * 5, 2, 1, 6, NO_ID, 2, 4, 1234, 4, 4, NO_ID, 16, 4, NO_ID, 32, 4, NO_ID)
    (tmp_path / "f").touch()
    for name in ("user.a", "trusted.a", "trusted.overlay.origin", "user.overlay.origin", "security.selinux"):
        os.setxattr(tmp_path / "f", name, b"x")
    os.setxattr(tmp_path / "f", "system.posix_acl_access", acl)

    (entry,) = [entry for entry, _ in members(parent, b".", b"")]

    assert entry.xattrs == {b"user.a": b"x", b"trusted.a": b"x", b"system.posix_acl_access": acl}


@pytest.mark.skipif(os.geteuid() != 0, reason="sets attributes of trusted and makes a device")
def test_attributes_come_with_what_cannot_be_opened_and_not_those_of_what_a_symlink_leads_to(
    tmp_path: Path, parent: int
) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").symlink_to("a")
    os.mknod(tmp_path / "c", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.mkfifo(tmp_path / "d")
    for name in "abcd":
        os.setxattr(tmp_path / name, "trusted.name", name.encode(), follow_symlinks=False)

    assert [entry.xattrs for entry, _ in members(parent, b".", b"")] == [
        {b"trusted.name": b"a"},
        {b"trusted.name": b"b"},
        {b"trusted.name": b"c"},
        {b"trusted.name": b"d"},
    ]
