"""Applying a layer: what lies on disk afterwards, and what is reported of it.

As root and as somebody else, with openat2 and without, with isal and without, hashed aside and not: the same contract.
"""

from __future__ import annotations

import gc
import gzip
import hashlib
import os
import random
import stat
import struct
import subprocess
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

import pytest

from headway.errors import InvalidLayerError, StoreError, StoreFullError
from headway.layers.trees.footprint import Footprint
from headway.layers.unpacking.applier import apply_layer
from headway.layers.unpacking.handoff import Handoff, alone
from headway.layers.unpacking.umask import current_umask, unshare_umask
from headway.layers.unpacking.workers import Workers
from headway.records import LayerReport
from tests.fakes.tars import Item, Source, directory, file, hardlink, opaque, symlink, tar, whiteout

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away and makes devices: run it as root")

T = TypeVar("T")
Apply = Callable[..., LayerReport]

VARIANTS: dict[str, dict[str, Any]] = {
    "openat2": {},
    "walk": {"openat2": False},
    "worker": {},
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "tree"
    directory.mkdir()
    return directory


@pytest.fixture(params=VARIANTS)
def apply(request: pytest.FixtureRequest, root: Path, workers: Workers) -> Apply:
    variant = VARIANTS[request.param]

    def run(*items: Item | bytes, **options: Any) -> LayerReport:  # noqa: ANN401 (apply_layer's own)
        data = tar(*items)
        with workers.handing_off() if request.param == "worker" else nullcontext(alone) as hand_off:
            diff_id, report = apply_layer(
                Source(data), root, lambda _: None, hand_off=hand_off, **{**variant, **options}
            )
        assert diff_id == f"sha256:{hashlib.sha256(data).hexdigest()}"
        return report

    return run


def tree(root: Path) -> dict[str, str]:
    """Return each path with what is there: content, ``-> target``, ``/``, ``whiteout``, ``opaque/``."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        name = str(path.relative_to(root))
        if stat.S_ISDIR(status.st_mode):
            found[name] = "opaque/" if "trusted.overlay.opaque" in os.listxattr(path) else "/"
        elif stat.S_ISLNK(status.st_mode):
            found[name] = f"-> {path.readlink()}"
        elif stat.S_ISREG(status.st_mode):
            found[name] = path.read_text()
        else:
            found[name] = "whiteout" if status.st_rdev == 0 and stat.S_ISCHR(status.st_mode) else "node"
    return found


# --- names ---


@pytest.mark.parametrize(
    "name", ["a/b", "./a/b", "/a/b", "a//b", "a/./b", "../a/b", "a/x/../b", "./../../a/b", "a/b/."]
)
def test_a_name_is_a_path_from_the_layers_root_however_it_is_written(apply: Apply, root: Path, name: str) -> None:
    report = apply(file(name, b"text"))

    assert tree(root) == {"a": "/", "a/b": "text"}
    assert report.implicit == ("a",)


def test_missing_parents_are_made_0755_and_reported_until_an_entry_describes_them(apply: Apply, root: Path) -> None:
    report = apply(file("a/b/c"), file("d/e/f"), directory("d", mode=0o700), directory("./a/b/", mode=0o711))

    assert report.implicit == ("a", "d/e")
    assert [mode(root / name) for name in ("a", "a/b", "d", "d/e")] == [0o755, 0o711, 0o700, 0o755]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_the_root_entry_describes_the_root(apply: Apply, root: Path) -> None:
    report = apply(directory("./", mode=0o1777, uid=3, gid=4, mtime=5), file("a"))

    status = root.stat()
    assert report.root_entry
    assert (mode(root), status.st_uid, status.st_gid, status.st_mtime) == (0o1777, 3, 4, 5)


def test_without_a_root_entry_the_root_is_0755(apply: Apply, root: Path) -> None:
    root.chmod(0o2700)

    report = apply(file("a"))

    assert not report.root_entry
    assert mode(root) == 0o755


def test_names_that_are_not_text_are_kept(apply: Apply, root: Path) -> None:
    report = apply(file(b"d\xff/caf\xe9"))

    assert os.listdir(os.fsencode(root) + b"/d\xff") == [b"caf\xe9"]
    assert report.implicit == ("d\udcff",)


# --- symlinks in the way ---


@pytest.mark.parametrize("target", ["usr/lib", "/usr/lib", "./usr/../usr/lib", "../../usr/lib", "/../usr/lib/", "l2"])
def test_a_symlink_in_the_way_is_followed_inside_the_root(apply: Apply, root: Path, target: str) -> None:
    apply(directory("usr/lib"), symlink("l2", "/usr/lib"), symlink("lib", target), file("lib/a", b"text"))

    assert (root / "usr/lib/a").read_text() == "text"
    assert (root / "lib").is_symlink()


@pytest.mark.parametrize("target", ["usr/lib", "/usr/lib", "../usr/lib"])
def test_what_a_symlink_in_the_way_leads_to_is_made_where_it_is_missing(apply: Apply, root: Path, target: str) -> None:
    report = apply(symlink("lib", target), file("lib/x/a"))

    assert tree(root) == {"lib": f"-> {target}", "usr": "/", "usr/lib": "/", "usr/lib/x": "/", "usr/lib/x/a": ""}
    assert report.implicit == ("usr", "usr/lib", "usr/lib/x")


def test_an_implicit_directory_is_described_by_an_entry_that_reaches_it_through_a_symlink(apply: Apply) -> None:
    report = apply(file("usr/lib/a/b"), symlink("lib", "usr/lib"), directory("lib/a"))

    assert report.implicit == ("usr", "usr/lib")


# --- metadata ---


def test_owner_mode_and_times_are_exact_on_every_kind(apply: Apply, root: Path) -> None:
    items = [
        file("f", b"x", mode=0o6755),
        directory("d", mode=0o3777),
        symlink("l", "nowhere"),
        Item("p", type="fifo", mode=0o622),
        Item("c", type="char", device=(1, 3), mode=0o666),
        Item("b", type="block", device=(259, 70_000), mode=0o660),
    ]

    apply(*(item._replace(uid=12, gid=34, mtime=1_000_000_000) for item in items), file("d/inside", mode=0o666))

    found = {path.name: path.lstat() for path in root.iterdir()}
    assert {name: (s.st_uid, s.st_gid, s.st_mtime) for name, s in found.items()} == dict.fromkeys(
        "fdlpcb", (12, 34, 1_000_000_000)
    )
    assert {name: stat.S_IMODE(s.st_mode) for name, s in found.items() if name != "l"} == {
        "f": 0o6755, "d": 0o3777, "p": 0o622, "c": 0o666, "b": 0o660,
    }  # fmt: skip
    assert (found["c"].st_rdev, found["b"].st_rdev) == (os.makedev(1, 3), os.makedev(259, 70_000))


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o777])
def test_modes_are_exact_whatever_the_umask_of_the_thread(root: Path, umask: int) -> None:
    data = tar(file("a/f", mode=0o666), directory("d", mode=0o777), Item("p", type="fifo", mode=0o666))

    def work() -> None:
        assert unshare_umask()
        os.umask(umask)
        apply_layer(Source(data), root, lambda _: None)

    in_thread(work)

    assert [mode(root / name) for name in ("a", "a/f", "d", "p")] == [0o755, 0o666, 0o777, 0o666]


def in_thread(work: Callable[[], T]) -> T:
    """Do some work in a thread that ends with it."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def test_a_thread_with_its_own_umask_leaves_that_of_the_process_alone() -> None:
    before = current_umask()

    def work() -> int:
        assert unshare_umask()
        return current_umask()

    assert (in_thread(work), current_umask()) == (0, before)


@pytest.mark.parametrize("text", ["1.123456789", "-1.5", "0", "-2000000000.25"])
def test_times_are_kept_to_the_nanosecond(apply: Apply, root: Path, text: str) -> None:
    apply(*(item._replace(records={"mtime": text}) for item in (file("f"), directory("d"), symlink("l", "f"))))

    seconds, _, fraction = text.lstrip("-").partition(".")
    expected = (-1 if text[0] == "-" else 1) * (int(seconds) * 10**9 + int(fraction.ljust(9, "0")))
    assert {path.lstat().st_mtime_ns for path in root.iterdir()} == {expected}


def test_directories_keep_their_times_though_things_are_made_in_them(apply: Apply, root: Path) -> None:
    apply(directory("d", mtime=7), directory("d/e", mtime=8), file("d/e/f"), file("d/g"), whiteout("d/h"))

    assert ((root / "d").stat().st_mtime, (root / "d/e").stat().st_mtime) == (7, 8)


def test_a_setgid_directory_does_not_give_its_group_to_what_is_made_in_it(apply: Apply, root: Path) -> None:
    apply(directory("d", mode=0o2775, gid=50), file("d/f"), directory("d/e"), symlink("d/l", "f"))

    assert {path.lstat().st_gid for path in (root / "d").iterdir()} == {0}
    assert (mode(root / "d"), mode(root / "d/e")) == (0o2775, 0o755)


CAPABILITY = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"


def test_extended_attributes_are_kept_and_file_capabilities_survive_the_chown(apply: Apply, root: Path) -> None:
    records = {"SCHILY.xattr.security.capability": CAPABILITY, "SCHILY.xattr.trusted.a": "b"}

    report = apply(
        file("f", b"x", mode=0o4755, uid=5, records=records),
        directory("d", records={"SCHILY.xattr.trusted.a": "b"}),
        symlink("l", "nowhere", records={"SCHILY.xattr.trusted.a": "b"}),
    )

    assert os.getxattr(root / "f", "security.capability") == CAPABILITY
    assert mode(root / "f") == 0o4755
    assert {os.getxattr(path, "trusted.a", follow_symlinks=False) for path in root.iterdir()} == {b"b"}
    assert report.xattrs == ()


def test_what_is_made_in_a_directory_does_not_inherit_its_default_acl(apply: Apply, root: Path) -> None:
    entries = [(1, 7, -1), (2, 7, 1), (4, 5, -1), (16, 7, -1), (32, 5, -1)]  # u::rwx u:1:rwx g::r-x m::rwx o::r-x
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)

    apply(directory("d", records={"SCHILY.xattr.system.posix_acl_default": acl}), file("d/f", mode=0o640))

    assert os.getxattr(root / "d", "system.posix_acl_default") == acl
    assert (mode(root / "d/f"), os.listxattr(root / "d/f")) == (0o640, [])


@pytest.mark.parametrize("key", ["trusted.overlay.opaque", "trusted.overlay.redirect", "user.overlay.metacopy"])
def test_overlays_own_attributes_are_reported_and_not_set(apply: Apply, root: Path, key: str) -> None:
    report = apply(directory("d", records={f"SCHILY.xattr.{key}": "y"}))

    assert os.listxattr(root / "d") == []
    assert report.xattrs == (("d", key, b"y"),)


def test_an_attribute_that_the_file_system_refuses_is_reported(apply: Apply) -> None:
    report = apply(symlink("l", "x", records={"SCHILY.xattr.user.a": "b"}))

    assert report.xattrs == (("l", "user.a", b"b"),)


# --- replacing ---


@pytest.mark.parametrize("earlier", ["file", "dir", "symlink", "fifo", "hardlink"])
@pytest.mark.parametrize("later", ["file", "symlink", "fifo", "hardlink"])
def test_the_last_entry_with_a_name_wins(apply: Apply, root: Path, earlier: str, later: str) -> None:
    apply(
        file("t", b"target"),
        Item("x", b"old" if earlier == "file" else b"", type=earlier, link="t" if "link" in earlier else ""),
        *([file("x/inside/deep")] if earlier == "dir" else []),
        Item("x", b"new" if later == "file" else b"", type=later, link="t" if "link" in later else ""),
    )

    expected = {"file": "new", "symlink": "-> t", "fifo": "node", "hardlink": "target"}[later]
    assert tree(root) == {"t": "target", "x": expected}


@pytest.mark.parametrize("earlier", ["file", "symlink", "fifo"])
def test_a_directory_replaces_what_is_not_one(apply: Apply, root: Path, earlier: str) -> None:
    apply(
        directory("t"), Item("x", type=earlier, link="t" if earlier == "symlink" else ""), directory("x"), file("x/a")
    )

    assert tree(root) == {"t": "/", "x": "/", "x/a": ""}


def test_a_directory_over_a_directory_merges_and_takes_the_new_metadata(apply: Apply, root: Path) -> None:
    apply(
        directory("d", mode=0o700, uid=1, mtime=1),
        file("d/a"),
        directory("d", mode=0o755, uid=0, mtime=2),
        file("d/b"),
    )

    status = (root / "d").stat()
    assert sorted(os.listdir(root / "d")) == ["a", "b"]
    assert (mode(root / "d"), status.st_uid, status.st_mtime) == (0o755, 0, 2)


def test_a_replaced_hard_link_leaves_the_other_name_alone(apply: Apply, root: Path) -> None:
    apply(file("a", b"old"), hardlink("b", "a"), file("b", b"new"))

    assert tree(root) == {"a": "old", "b": "new"}


def test_what_a_removed_directory_held_leaves_no_trace_in_the_report(apply: Apply) -> None:
    zero = Item("d/c", type="char", device=(0, 0))
    records = {"SCHILY.xattr.user.overlay.a": "b"}

    report = apply(
        file("d/e/f", b"x" * 5000, records=records), hardlink("d/g", "lower"), zero, symlink("d/l", "t" * 80), file("d")
    )

    assert report == LayerReport(entries=5, disk_bytes=4096, members=1)


def test_a_parent_that_was_replaced_by_a_symlink_leads_where_the_symlink_does(apply: Apply, root: Path) -> None:
    apply(file("a/1"), directory("b"), symlink("a", "b"), file("a/2"), directory("a"), file("a/3"))

    assert tree(root) == {"a": "/", "a/3": "", "b": "/", "b/2": ""}


# --- hard links ---


def test_hard_links_share_content_wherever_they_are(apply: Apply, root: Path) -> None:
    report = apply(file("d/a", b"text"), hardlink("b", "/d/a"), hardlink("e/c", "./b"))

    assert {(root / name).stat().st_ino for name in ("d/a", "b", "e/c")} == {(root / "b").stat().st_ino}
    assert (report.size, report.disk_bytes) == (4, 4096 + 3 * 4096)


def test_what_a_hard_links_entry_says_of_the_file_is_not_heard(apply: Apply, root: Path) -> None:
    apply(file("a", mode=0o600, uid=1, mtime=5), hardlink("b", "a", mode=0o4755, uid=2, mtime=6))

    status = (root / "a").stat()
    assert (mode(root / "a"), status.st_uid, status.st_mtime) == (0o600, 1, 5)


def test_a_hard_link_to_a_symlink_is_another_name_of_the_symlink(apply: Apply, root: Path) -> None:
    apply(symlink("l", "nowhere"), hardlink("h", "l"))

    assert tree(root) == {"h": "-> nowhere", "l": "-> nowhere"}


@pytest.mark.parametrize("name", ["a", "./a", "l/a"])
def test_a_hard_link_to_itself_changes_nothing(apply: Apply, root: Path, name: str) -> None:
    report = apply(symlink("l", "."), file("a", b"text"), hardlink(name, "a"))

    assert (root / "a").read_text() == "text"
    assert report.lower_links == ()


def test_a_hard_link_whose_target_is_not_here_is_reported(apply: Apply, root: Path) -> None:
    report = apply(file("b"), hardlink("a", "lower/x"), hardlink("b", "/y"), hardlink("c", "a"), hardlink("d", "b/x"))

    assert report.lower_links == (("a", "lower/x"), ("b", "y"), ("c", "lower/x"), ("d", "b/x"))
    assert tree(root) == {}


def test_a_hard_link_to_what_this_layer_whites_out_leads_to_a_lower_layer(apply: Apply, root: Path) -> None:
    report = apply(whiteout("a"), hardlink("b", "a"))

    assert report.lower_links == (("b", "a"),)
    assert tree(root) == {"a": "whiteout"}


# --- whiteouts ---


def test_whiteouts_become_devices_and_opaque_directories_get_the_attribute(apply: Apply, root: Path) -> None:
    report = apply(whiteout("gone"), whiteout("d/gone"), directory("e"), opaque("e"), opaque("f/g"), opaque("h"))

    assert tree(root) == {
        "gone": "whiteout", "d": "/", "d/gone": "whiteout", "e": "opaque/", "f": "/", "f/g": "opaque/", "h": "opaque/",
    }  # fmt: skip
    assert report.implicit == ("d", "f", "f/g", "h")
    assert report.size == 0


@pytest.mark.parametrize("order", [1, -1])
def test_a_whiteout_hides_lower_layers_only_whichever_comes_first(apply: Apply, root: Path, order: int) -> None:
    apply(*[file("f", b"new"), whiteout("f")][::order])
    assert tree(root) == {"f": "new"}


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("made", [directory("d"), file("d/f")])
def test_a_directory_that_was_whited_out_and_made_is_opaque(apply: Apply, root: Path, order: int, made: Item) -> None:
    apply(*[made, whiteout("d")][::order])

    assert tree(root)["d"] == "opaque/"


@pytest.mark.parametrize("order", [1, -1])
def test_what_a_whiteout_hides_says_nothing_of_a_directory_that_no_entry_describes(
    apply: Apply, root: Path, order: int
) -> None:
    report = apply(*[file("d/e/f", b"x"), whiteout("d")][::order])

    assert tree(root) == {"d": "opaque/", "d/e": "/", "d/e/f": "x"}
    assert report.implicit == ("d/e",)


@pytest.mark.parametrize("order", [1, -1])
def test_whiteouts_alone_keep_no_directory_that_is_whited_out(apply: Apply, root: Path, order: int) -> None:
    report = apply(*[whiteout("d/e/f"), whiteout("d/g"), whiteout("d/e"), whiteout("d")][::order])

    assert tree(root) == {"d": "whiteout"}
    assert report.implicit == ()


def test_a_directory_that_is_whited_out_goes_however_many_it_holds(apply: Apply, root: Path) -> None:
    apply(*[whiteout(f"p/d/{number}/f") for number in range(100)], whiteout("p/d"))  # more than stay open

    assert tree(root) == {"p": "/", "p/d": "whiteout"}


def test_what_keeps_a_directory_is_looked_for_once(apply: Apply, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    scan = os.scandir

    def noting(descriptor: int) -> os._ScandirIterator[str]:
        looked.append(descriptor)
        return scan(descriptor)

    monkeypatch.setattr("headway.layers.unpacking.unpacker.os.scandir", noting)
    nested = ["/".join("d" * depth) for depth in range(1, 101)]

    apply(file(f"{nested[-1]}/f"), *map(whiteout, nested))

    assert len(looked) <= 2 * len(nested)


@pytest.mark.parametrize(
    "kept",
    [file("d/e/f"), directory("d/e/f"), symlink("d/e/f", "x"), hardlink("d/e/f", "below")],
    ids=lambda item: item.type,
)
def test_a_directory_that_is_whited_out_keeps_what_the_layer_puts_there(apply: Apply, root: Path, kept: Item) -> None:
    report = apply(whiteout("d/e/g"), kept, whiteout("d"))

    assert tree(root)["d"] == "opaque/"
    assert report.implicit == ("d/e",)


@pytest.mark.parametrize("order", [1, -1])
def test_what_the_layer_holds_survives_its_own_opaque_mark(apply: Apply, root: Path, order: int) -> None:
    apply(directory("d"), *[file("d/f", b"x"), opaque("d")][::order])

    assert tree(root) == {"d": "opaque/", "d/f": "x"}


def test_a_whiteout_below_what_hides_its_directory_anyway_changes_nothing(apply: Apply, root: Path) -> None:
    apply(file("f"), whiteout("f/a"), opaque("f"), whiteout("d"), whiteout("d/a"))

    assert tree(root) == {"f": "", "d": "whiteout"}


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh..."])
def test_a_whiteout_of_no_name_is_an_invalid_layer(apply: Apply, name: str) -> None:
    with pytest.raises(InvalidLayerError, match="whiteout of nothing"):
        apply(file(name))


def test_files_of_aufs_are_left_out(apply: Apply, root: Path) -> None:
    report = apply(directory(".wh..wh.plnk"), file(".wh..wh.plnk/1.2"), file(".wh..wh.aufs"), file("d/.wh..wh.orph"))

    assert tree(root) == {}
    assert report.implicit == ()


def test_a_hard_link_may_be_to_a_file_that_aufs_kept(apply: Apply, root: Path) -> None:
    kept = file("./.wh..wh.plnk/77.1", b"shared", mode=0o755), file(".wh..wh.plnk/78.1", b"alone")

    report = apply(directory(".wh..wh.plnk"), *kept, hardlink("a", ".wh..wh.plnk/77.1"), hardlink("b", "a"))

    assert tree(root) == {"a": "shared", "b": "shared"}
    assert (root / "a").samefile(root / "b")
    assert (report.implicit, report.lower_links, report.size, report.members) == ((), (), 6, 2)


def test_a_layers_own_zero_device_is_reported_and_hides_what_is_below(apply: Apply, root: Path) -> None:
    report = apply(Item("c", type="char", device=(0, 0), mode=0o600, uid=7), hardlink("h", "c"))

    assert tree(root) == {"c": "whiteout", "h": "whiteout"}
    assert report.devices == (("c", stat.S_IFCHR | 0o600, 0, 0), ("h", stat.S_IFCHR | 0o600, 0, 0))
    assert report.owners == (("c", 7, 0), ("h", 7, 0))


# --- the report and the hash ---


def test_size_is_dockers_and_disk_bytes_are_what_du_counts(apply: Apply, root: Path) -> None:
    rng = random.Random(2)
    items = [file(f"f{number}", rng.randbytes(rng.choice([0, 1, 4096, 5000, 300_000]))) for number in range(30)]

    report = apply(directory("d"), *items, hardlink("h", "f1"), symlink("l", "target"), symlink("m", "t" * 90))

    du = int(subprocess.run(["du", "-sB1", str(root)], check=True, capture_output=True).stdout.split()[0])
    assert report.size == sum(len(item.body) for item in items) + 6 + 90
    assert report.disk_bytes == du
    assert report.entries == 34


def test_what_was_replaced_is_not_counted(apply: Apply, root: Path) -> None:
    del root

    report = apply(
        file("a", b"x" * 5000), symlink("l", "t" * 90), hardlink("b", "a"), file("a", b"y"), file("l", b"z" * 10)
    )

    assert (report.size, report.disk_bytes) == (5000 + 1 + 10, 8192 + 4096 + 4096 + 4096)


def test_the_diff_id_covers_what_follows_the_end_marker(root: Path) -> None:
    data = tar(file("a")) + b"garbage" * 1000

    diff_id, _ = apply_layer(Source(gzip.compress(data), 99), root, lambda _: None)

    assert diff_id == f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_progress_counts_the_bytes_of_the_blob(root: Path) -> None:
    blob = gzip.compress(tar(file("a", random.Random(3).randbytes(200_000))))
    told: list[int] = []

    apply_layer(Source(blob, 50_000), root, told.append)

    assert told[-1] == len(blob)


def test_nothing_of_a_layer_waits_for_a_search_for_garbage(root: Path) -> None:
    counted: list[weakref.ref[Footprint]] = []

    def hand_off(footprint: Footprint) -> Handoff:
        counted.append(weakref.ref(footprint))
        return alone(footprint)

    gc.disable()
    try:
        apply_layer(Source(tar(directory("d/"), file("d/f"))), root, lambda _: None, hand_off=hand_off)

        assert [footprint() for footprint in counted] == [None]
    finally:
        gc.enable()


def test_large_files_are_whole_in_whatever_pieces_they_come(apply: Apply, root: Path) -> None:
    body = random.Random(4).randbytes(3_333_333)

    apply(file("big", body), file("small", b"x"))

    assert (root / "big").read_bytes() == body


# --- errors ---


class Broken:
    """A source that fails after its first bytes."""

    def __init__(self, error: Exception) -> None:
        self._error: Exception | None = error
        self._data = tar(file("a"))[:512]

    def read(self, limit: int) -> bytes:
        del limit
        data, self._data = self._data, b""
        if not data and self._error is not None:
            raise self._error
        return data


@pytest.mark.parametrize("error", [InterruptedError("stopped"), StoreFullError("/x"), InvalidLayerError("x")])
def test_what_the_source_raises_comes_through(root: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        apply_layer(Broken(error), root, lambda _: None)

    assert caught.value is error


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    target = tmp_path / "small"
    target.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(target)], check=True)
    yield target
    subprocess.run(["umount", str(target)], check=True)


def test_a_full_disk_is_named(small_disk: Path) -> None:
    with pytest.raises(StoreFullError, match="no space left"):
        apply_layer(Source(tar(file("a", b"x" * 100_000))), small_disk, lambda _: None)


def test_a_disk_that_takes_no_more_files_is_not_called_full(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,nr_inodes=10", str(small_disk)], check=True)

    with pytest.raises(StoreFullError, match="no inodes left on the disk that holds"):
        apply_layer(Source(tar(*(file(f"{number}") for number in range(20)))), small_disk, lambda _: None)


def test_a_directory_that_is_not_there_is_a_fault_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        apply_layer(Source(tar()), tmp_path / "missing", lambda _: None)


def test_no_descriptor_is_left_open(apply: Apply) -> None:
    before = os.listdir("/proc/self/fd")

    apply(*(file(f"d{number}/{number % 7}/f") for number in range(300)))
    with pytest.raises(InvalidLayerError):
        apply(file("f"), file("f/below"))

    assert os.listdir("/proc/self/fd") == before
