"""Archives put into a root file system that is there."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest

from headway.container_records import RwPlace
from headway.errors import (
    ConflictingKindError,
    InvalidLayerError,
    InvalidPathError,
    NotADirectoryPathError,
    NotFoundError,
    StoreError,
)
from headway.layers.drivers.overlay2 import Overlay2Driver
from headway.layers.rootfs.extraction import extract
from headway.layers.rootfs.file_access import RootfsAccess
from headway.records import LayerReport, Tree
from tests.fakes.tars import Item, directory, file, hardlink, symlink, tar


@pytest.fixture
def root(tmp_path: Path) -> Path:
    top = tmp_path / "root"
    (top / "etc/conf.d").mkdir(parents=True)
    (top / "etc/hosts").write_text("old")
    (top / "out").symlink_to("../..")
    top.chmod(0o701)
    return top


def test_files_replace_files_and_directories_meet(root: Path) -> None:
    data = tar(
        directory("."), file("hosts", b"new", mode=0o640), directory("conf.d", mode=0o700), file("conf.d/a", b"x")
    )

    extract([data], root, b"etc")

    assert (root / "etc/hosts").read_text() == "new"
    assert stat.S_IMODE((root / "etc/hosts").stat().st_mode) == 0o640
    assert stat.S_IMODE((root / "etc/conf.d").stat().st_mode) == 0o700
    assert (root / "etc/conf.d/a").read_text() == "x"


def test_the_root_and_the_directory_itself_stay_as_they_are(root: Path) -> None:
    (root / "etc").chmod(0o711)

    extract([tar(directory("."), file("a"))], root, b"etc")

    assert stat.S_IMODE(root.stat().st_mode) == 0o701
    assert stat.S_IMODE((root / "etc").stat().st_mode) == 0o711


def test_a_whiteouts_name_is_a_name_like_others(root: Path) -> None:
    extract([tar(file(".wh.hosts"), file(".wh..wh..opq"))], root, b"etc")

    assert sorted(os.listdir(root / "etc")) == [".wh..wh..opq", ".wh.hosts", "conf.d", "hosts"]


@pytest.mark.skipif(os.geteuid() != 0, reason="makes devices, and mounts: run it as root")
def test_a_whiteouts_device_is_a_device_like_others_and_left_out_where_there_can_be_none(root: Path) -> None:
    place = RwPlace(root.parent)
    upper, merged = place.upper, place.merged
    for each in (upper, place.work):
        each.mkdir()
    data = tar(Item("z", type="char", device=(0, 0), uid=3, mode=0o600), hardlink("y", "z"), file("b"))
    driver = Overlay2Driver()
    driver.mount_rw(place, [Tree(path=root, report=LayerReport())])

    try:
        extract([data], merged, b"etc")
    finally:
        driver.unmount(merged)
    extract([data], root, b"")

    found = (root / "z").stat()
    assert os.listdir(upper / "etc") == ["b"]
    assert (found.st_mode, found.st_rdev, found.st_uid) == (stat.S_IFCHR | 0o600, 0, 3)
    assert (root / "y").samefile(root / "z")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (tar(directory("hosts")), 'cannot overwrite non-directory "/etc/hosts" with directory "/etc"'),
        (tar(file("conf.d")), 'cannot overwrite directory "/etc/conf.d" with non-directory "/etc"'),
    ],
)
def test_kinds_are_kept_where_that_is_asked_for(root: Path, data: bytes, words: str) -> None:
    with pytest.raises(ConflictingKindError) as caught:
        extract([data], root, b"etc", keep_kinds=True)

    assert str(caught.value) == words
    extract([data], root, b"etc")


def test_everything_can_be_given_to_one_owner(root: Path) -> None:
    extract([tar(file("a", uid=7, gid=8), directory("d", uid=7, gid=8))], root, b"etc", owner=(1234, 4321))

    assert ((root / "etc/a").stat().st_uid, (root / "etc/d").stat().st_gid) == (1234, 4321)


def test_names_links_and_targets_stay_inside(root: Path, tmp_path: Path) -> None:
    data = tar(
        file("../../escaped", b"1"), symlink("link", "/"), file("link/below-link", b"2"), file("/absolute", b"3")
    )

    extract([data], root, b"etc")

    assert (root / "etc/escaped").read_bytes() == b"1"
    assert (root / "below-link").read_bytes() == b"2"
    assert (root / "etc/absolute").read_bytes() == b"3"
    assert os.listdir(tmp_path) == ["root"]


def test_a_hard_link_means_a_file_of_the_archive(root: Path) -> None:
    extract([tar(file("a", b"1"), hardlink("b", "a"))], root, b"etc")

    assert (root / "etc/a").stat().st_ino == (root / "etc/b").stat().st_ino
    with pytest.raises(InvalidLayerError, match="hard link to 'etc/nowhere', which is not there"):
        extract([tar(hardlink("c", "nowhere"))], root, b"etc")


def test_a_broken_archive_is_named(root: Path) -> None:
    with pytest.raises(InvalidLayerError):
        extract([b"no archive at all" * 100], root, b"etc")


def test_a_mode_is_never_given_to_what_a_symlink_leads_to(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = root.parent / "victim"
    victim.touch(mode=0o600)
    make = os.mkfifo

    def swapped(name: bytes, mode: int, *, dir_fd: int) -> None:
        """Make it, as a process in the container does, into something else before anybody looks."""
        make(name, mode, dir_fd=dir_fd)
        os.unlink(name, dir_fd=dir_fd)
        os.symlink(victim, name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkfifo", swapped)

    with suppress(InvalidLayerError, StoreError):
        extract([tar(Item("p", type="fifo", mode=0o6777))], root, b"")

    assert stat.S_IMODE(victim.stat().st_mode) == 0o600


@pytest.mark.parametrize("path", ["/etc/hosts", "/etc/hosts/", "/etc/hosts/.", "/link/"])
def test_a_file_is_no_place_to_unpack_into_however_it_is_asked_for(root: Path, path: str) -> None:
    (root / "link").symlink_to("etc/hosts")

    with pytest.raises(NotADirectoryPathError):
        RootfsAccess().extract(root, path, BytesIO(tar(file("a"))))


@pytest.mark.parametrize("path", ["/etc", "etc/", "/etc/.", "/link", "/link/", "/link/."])
def test_a_directory_is_found_however_it_is_asked_for(root: Path, path: str) -> None:
    (root / "link").symlink_to("/../etc")

    RootfsAccess().extract(root, path, BytesIO(tar(file("a", b"1"))))

    assert (root / "etc/a").read_bytes() == b"1"


@pytest.mark.parametrize("path", ["/nope", "/nope/", "/etc/hosts/x/"])
def test_a_place_that_is_not_there_is_named_as_it_was_asked_for(root: Path, path: str) -> None:
    with pytest.raises(NotFoundError, match=path):
        RootfsAccess().extract(root, path, BytesIO(tar(file("a"))))


@pytest.mark.parametrize("path", ["/etc/new/deep", "etc/new/deep/", "/../etc/./new//deep", "/out/etc/new/deep"])
def test_a_directory_is_made_with_those_above_it_and_inside_the_root(root: Path, path: str) -> None:
    (root / "etc").chmod(0o711)
    before = os.umask(0o077)
    try:
        RootfsAccess().make_directory(root, path)
        RootfsAccess().make_directory(root, path)
    finally:
        os.umask(before)

    made = [root / "etc", root / "etc/new", root / "etc/new/deep"]
    assert [stat.S_IMODE(each.stat().st_mode) for each in made] == [0o711, 0o755, 0o755]
    assert os.listdir(root.parent) == ["root"]


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("/etc/hosts", NotADirectoryPathError, "Cannot mkdir: /etc/hosts is not a directory"),
        ("/etc/hosts/x", NotADirectoryPathError, "Cannot mkdir: /etc/hosts/x is not a directory"),
        ("/loop/x", NotADirectoryPathError, "Cannot mkdir: /loop/x is not a directory"),
        ("/a\0b", InvalidPathError, "it holds a NUL"),
        ("/" + "a" * 256, InvalidPathError, "File name too long"),
    ],
)
def test_a_directory_that_cannot_be_is_refused(root: Path, path: str, error: type[Exception], words: str) -> None:
    (root / "loop").symlink_to("loop")

    with pytest.raises(error, match=words):
        RootfsAccess().make_directory(root, path)


def test_what_a_container_puts_in_the_place_of_a_directory_that_was_made_leads_nowhere(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = root.parent / "outside"
    outside.write_text("ours")
    outside.chmod(0o600)
    make = os.mkdir

    def made(name: bytes, *, dir_fd: int) -> None:
        make(name, dir_fd=dir_fd)
        os.rmdir(name, dir_fd=dir_fd)
        os.symlink(outside, name, dir_fd=dir_fd)

    monkeypatch.setattr("headway.layers.rootfs.file_access.os.mkdir", made)
    with pytest.raises((NotADirectoryPathError, StoreError)):
        RootfsAccess().make_directory(root, "/etc/new")

    assert stat.S_IMODE(outside.stat().st_mode) == 0o600
