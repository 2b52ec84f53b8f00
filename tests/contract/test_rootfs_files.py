"""Files of a root file system, by the paths that its own processes would use."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headway.errors import InvalidPathError, NotFoundError, StoreError
from headway.interfaces.files import Pieces
from headway.layers.rootfs.file_access import RootfsAccess
from headway.layers.rootfs.files import RootfsFiles


@pytest.fixture
def files(tmp_path: Path) -> Iterator[RootfsFiles]:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (root / "etc/deep").symlink_to("/etc/../etc")
    (root / "etc/loop").symlink_to("loop")
    (root / "link").symlink_to("etc/hosts")
    (root / "chain").symlink_to("/link")
    (root / "out").symlink_to("../../../../etc/passwd")
    (root / "dangling").symlink_to("/nowhere/at/all")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("outside")
    with RootfsFiles(root) as opened:
        yield opened


@pytest.mark.parametrize(
    "call",
    [
        lambda access, root: access.stat(root, "/"),
        lambda access, root: next(access.archive(root, "/")),
        lambda access, root: access.make_directory(root, "/d"),
        lambda access, root: access.extract(root, "/", Pieces([b""])),
        lambda access, root: next(access.changes(root, [])),
    ],
    ids=["stat", "archive", "make_directory", "extract", "changes"],
)
def test_a_root_that_somebody_has_removed_is_no_bug(
    tmp_path: Path, call: Callable[[RootfsAccess, Path], object]
) -> None:
    with pytest.raises(StoreError, match="merged: No such file"):
        call(RootfsAccess(), tmp_path / "merged")


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/etc/hosts", "hosts", stat.S_IFREG),
        ("etc/hosts", "hosts", stat.S_IFREG),
        ("/etc", "etc", stat.S_IFDIR),
        ("/", "/", stat.S_IFDIR),
        ("/.", ".", stat.S_IFDIR),
        ("../../etc", "etc", stat.S_IFDIR),
        ("/link", "link", stat.S_IFLNK),
        ("/etc/deep", "deep", stat.S_IFLNK),
        ("/etc/deep/", "deep", stat.S_IFDIR),
        ("/etc/deep/.", ".", stat.S_IFDIR),
        ("/etc/deep/hosts", "hosts", stat.S_IFREG),
    ],
)
def test_a_path_means_what_it_means_inside(files: RootfsFiles, path: str, name: str, kind: int) -> None:
    found = files.stat(path)

    assert (found.name, stat.S_IFMT(found.mode)) == (name, kind)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/link", "/etc/hosts"),
        ("/chain", "/etc/hosts"),
        ("/etc/deep", "/etc"),
        ("/out", "/etc/passwd"),
        ("/dangling", "/nowhere/at/all"),
        ("/etc/hosts", ""),
    ],
)
def test_a_links_end_is_said_as_a_path_inside(files: RootfsFiles, path: str, target: str) -> None:
    assert files.stat(path).link_target == target


@pytest.mark.parametrize(
    "path", ["/nope", "/etc/hosts/", "/etc/hosts/.", "/etc/hosts/x", "/out/", "/etc/loop/x", "/dangling/."]
)
def test_what_is_not_there_is_not_found(files: RootfsFiles, path: str) -> None:
    with pytest.raises(NotFoundError):
        files.stat(path)


@pytest.mark.parametrize("path", ["/a\0b", "/" + "n" * 300])
def test_what_cannot_be_a_path_is_said(files: RootfsFiles, path: str) -> None:
    with pytest.raises(InvalidPathError):
        files.stat(path)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/etc/hosts", [b"hosts"]),
        ("/etc", [b"etc/", b"etc/deep", b"etc/hosts", b"etc/loop"]),
        ("/etc/.", [b"./", b"./deep", b"./hosts", b"./loop"]),
        ("/link", [b"link"]),
        ("/etc/./", [b"./", b"./deep", b"./hosts", b"./loop"]),
        ("/etc/deep/", [b"deep/", b"deep/deep", b"deep/hosts", b"deep/loop"]),
        ("/etc/../etc/deep/", [b"deep/", b"deep/deep", b"deep/hosts", b"deep/loop"]),
    ],
)
def test_members_are_named_as_they_were_asked_for(files: RootfsFiles, path: str, names: list[bytes]) -> None:
    assert [entry.name for entry, _ in files.members(path)] == names


@pytest.mark.parametrize("path", ["/", "/etc/..", "..", "//"])
def test_members_of_the_root_are_named_from_there(files: RootfsFiles, path: str) -> None:
    names = [entry.name for entry, _ in files.members(path)]

    assert names[0] == b"/"
    assert {b"/etc/", b"/etc/hosts", b"/link"} < set(names)
    assert files.stat(path).name == "/"


def test_for_an_empty_path_the_root_has_no_entry_and_no_name(files: RootfsFiles) -> None:
    names = [entry.name for entry, _ in files.members("")]

    assert [b"/" + name for name in names] == [entry.name for entry, _ in files.members("/")][1:]


def test_a_loop_of_links_is_described_and_not_followed(files: RootfsFiles) -> None:
    assert files.stat("/etc/loop").link_target == "/etc/loop"


def test_nothing_stays_open(files: RootfsFiles) -> None:
    list(files.members("/"))
    before = len(os.listdir("/proc/self/fd"))

    list(files.members("/"))

    assert len(os.listdir("/proc/self/fd")) == before
