"""A store that belongs to somebody else than root: what it cannot hold is reported, and nothing is lost.

Run by root, the work is done in a child process that has become nobody; run by anybody else, it is done here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from headway.layers.unpacking.applier import apply_layer
from headway.records import LayerReport
from tests.fakes.tars import Item, Source, directory, file, hardlink, opaque, symlink, tar, whiteout

NOBODY = 65534


@pytest.fixture
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("rootless")
    if os.geteuid() == 0:
        os.chown(directory, NOBODY, NOBODY)
    return directory


@pytest.fixture(params=[None, False], ids=["openat2", "walk"])
def apply(root: Path, request: pytest.FixtureRequest) -> Callable[..., LayerReport]:
    def run(*items: Item) -> LayerReport:
        data = tar(*items)
        if os.geteuid() != 0:
            return apply_layer(Source(data), root, lambda _: None, openat2=request.param)[1]
        return _as_nobody(root, lambda: apply_layer(Source(data), Path(), lambda _: None, openat2=request.param)[1])

    return run


def _as_nobody(root: Path, work: Callable[[], LayerReport]) -> LayerReport:
    """Do `work` in a child that has become nobody, with `root` as its working directory."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.chdir(root)  # nobody may not walk there through root's temporary folders
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(writer, msgspec.json.encode(work()))
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with open(reader, "rb") as source:
        data = source.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return msgspec.json.decode(data, type=LayerReport)


def modes(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): stat.S_IMODE(path.lstat().st_mode) for path in root.rglob("*")}


def test_modes_that_would_lock_the_store_out_are_widened_and_reported(
    apply: Callable[..., LayerReport], root: Path
) -> None:
    report = apply(file("f", b"x", mode=0o4), file("w", mode=0o4400), directory("d", mode=0o0), file("d/f", mode=0o644))

    assert modes(root) == {"f": 0o604, "w": 0o4600, "d": 0o700, "d/f": 0o644}
    assert dict(report.real_modes) == {"f": 0o4, "w": 0o4400, "d": 0o0}


def test_owners_are_reported_except_those_of_root(apply: Callable[..., LayerReport]) -> None:
    report = apply(
        file("a"),
        file("b", uid=1, gid=2),
        directory("d", uid=3),
        symlink("l", "x", gid=4),
        Item("p", type="fifo", uid=5),
        hardlink("h", "b"),
    )

    assert sorted(report.owners) == [("b", 1, 2), ("d", 3, 0), ("h", 1, 2), ("l", 0, 4), ("p", 5, 0)]


def test_devices_are_reported_with_their_owner_and_not_made(apply: Callable[..., LayerReport], root: Path) -> None:
    report = apply(
        file("c"),
        Item("c", type="char", device=(1, 3), mode=0o666),
        Item("d/b", type="block", device=(8, 1), mode=0o660, gid=6),
        hardlink("h", "c"),
    )

    assert sorted(report.devices) == [
        ("c", stat.S_IFCHR | 0o666, 1, 3),
        ("d/b", stat.S_IFBLK | 0o660, 8, 1),
        ("h", stat.S_IFCHR | 0o666, 1, 3),
    ]
    assert report.owners == (("d/b", 0, 6),)
    assert report.lower_links == ()
    assert modes(root) == {"d": 0o755}


def test_a_device_that_a_later_entry_replaces_is_not_reported(apply: Callable[..., LayerReport], root: Path) -> None:
    report = apply(Item("c", type="char", device=(1, 3), uid=5), file("c", b"x", mode=0o600))

    assert (report.devices, report.owners) == ((), ())
    assert modes(root) == {"c": 0o600}


def test_attributes_of_root_are_reported_and_those_of_users_set(apply: Callable[..., LayerReport], root: Path) -> None:
    records = {"SCHILY.xattr.user.a": "1", "SCHILY.xattr.security.capability": b"\0", "SCHILY.xattr.trusted.b": "2"}

    report = apply(file("f", records=records), directory("d", mode=0o555, records={"SCHILY.xattr.user.a": "1"}))

    assert sorted(report.xattrs) == [("f", "security.capability", b"\0"), ("f", "trusted.b", b"2")]
    assert {os.getxattr(path, "user.a") for path in root.iterdir()} == {b"1"}


def test_whiteouts_and_opaque_directories_are_what_an_unprivileged_overlay_mount_reads(
    apply: Callable[..., LayerReport], root: Path
) -> None:
    report = apply(whiteout("gone"), directory("d"), opaque("d"))

    status = (root / "gone").lstat()
    assert (stat.S_ISCHR(status.st_mode), status.st_rdev) == (True, 0)
    assert os.getxattr(root / "d", "user.overlay.opaque") == b"y"
    assert report.devices == ()


def test_what_a_replaced_entry_needed_is_forgotten(apply: Callable[..., LayerReport]) -> None:
    records = {"SCHILY.xattr.trusted.b": "2"}

    report = apply(
        file("f", mode=0o0, uid=1, records=records),
        directory("d", mode=0o0, uid=1, records=records),
        file("d/f", mode=0o0, uid=1, records=records),
        file("f"),
        file("d"),
        directory("e", mode=0o0, uid=1, records=records),
        directory("e"),
    )

    assert (report.real_modes, report.owners, report.xattrs) == ((), (), ())


def test_links_into_lower_layers_are_reported_without_privileges_too(apply: Callable[..., LayerReport]) -> None:
    report = apply(hardlink("a", "lower"))

    assert report.lower_links == (("a", "lower"),)
