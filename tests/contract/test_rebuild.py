"""`rebuild(apply(tar)) == tar`, for every tar that can be applied, as root, in a rootless store, and for nobody."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Literal
from zlib import crc32

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headway.errors import InvalidLayerError, StoreCorruptError, StoreFullError
from headway.layers.recipes.codec import Codec
from headway.layers.recipes.format import FILE_HEADER
from headway.layers.recipes.rebuild import rebuild, verified
from headway.layers.recipes.recipe import Recipe
from headway.layers.recipes.recorder import Recorder
from headway.layers.unpacking.applier import apply_layer
from headway.layers.unpacking.recording_applier import apply
from headway.oci.digest import DiffID, Digest
from headway.records import recipe_beside
from tests.fakes.nasty import make_nasty
from tests.fakes.nobody import as_nobody, home_of_nobody
from tests.fakes.recipes import given_back, opened, record
from tests.fakes.tars import (
    END,
    GNU,
    USTAR,
    V7,
    Item,
    Source,
    base256,
    directory,
    entry,
    file,
    hardlink,
    header,
    long_name,
    opaque,
    padded,
    pax,
    symlink,
    tar,
    whiteout,
)

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away and makes devices: run it as root")
Kind = Literal["root", "rootless", "nobody"]
"""root's own store, a rootless one that root writes, and one of a user who really may not do what root may."""
EACH_KIND = pytest.mark.parametrize("kind", ["root", "rootless", "nobody"])


@contextmanager
def a_place(kind: Kind) -> Iterator[Path]:
    with home_of_nobody() as home, as_nobody() if kind == "nobody" else nullcontext():
        yield home


BODIES = st.sampled_from([b"", b"x", b"y" * 511, b"z" * 512, b"12345678" * 700])
NAMES = st.sampled_from([b"a", b"b", b"d", b"d/a", b"./d/b", b"d/e/", b"d/e/f", b"/l/a", b"../l/e", b"l", b"n" * 120])
MODES = st.sampled_from([0, 0o444, 0o555, 0o644, 0o4755, 0o1777])
OWNERS = st.sampled_from([0, 1, 1000, 65534])
SECONDS = st.integers(0, 8**11 - 1)


def _item(kind: str, name: bytes, body: bytes, link: bytes, mode: int, owner: int, mtime: int, more: str) -> bytes:
    records = {"mtime": f"{mtime}.5", "comment": more} if more else {}
    device = (1, 3) if kind in ("char", "block") else (0, 0)
    item = Item(name, body if kind == "file" else b"", kind, mode, owner, owner, mtime, link, device, records)
    return entry(item)


KINDS = st.sampled_from(["file", "file", "file", "dir", "dir", "symlink", "hardlink", "fifo", "char", "block"])
ITEMS = st.builds(_item, KINDS, NAMES, BODIES, NAMES, MODES, OWNERS, SECONDS, st.sampled_from(["", "short", "x" * 600]))

NUMBERS = st.sampled_from([b"", b"0000644\0", b"    644 ", b"644\0junk"[:8], b"0000644 ", base256(420, 8)])


def _header(name: bytes, body: bytes, mode: bytes, magic: bytes, checksum: str, junk: bytes, padding: bytes) -> bytes:
    """Return a file whose header no program of today writes, and that readers take."""
    times = base256(-5, 12) if junk else b"1"
    block = header(name[:100], size=len(body), mode=mode, magic=magic, mtime=times, prefix=junk)
    block = block[:345] + (junk * 20)[:155].ljust(155, b"\xff" if junk else b"\0") + block[500:]
    total = sum(block[:148]) + 256 + sum(block[156:])
    signed = total - 256 * sum(byte > 127 for byte in block[:148] + block[156:])
    field = {"usual": b"%06o\0 " % total, "old": b"%6o\0 " % total, "long": b"%07o\0" % total}.get(checksum)
    field = field or (b"%06o\0 " % signed if signed > 0 else b"%06o\0 " % total)
    return block[:148] + field + block[156:] + body + (padding * 512)[: -len(body) % 512]


STRANGE = st.builds(
    _header,
    NAMES,
    BODIES,
    NUMBERS,
    st.sampled_from([V7, GNU]),
    st.sampled_from(["usual", "old", "long", "signed"]),
    st.sampled_from([b"", b"\x80\0\xfe"]),
    st.sampled_from([b"\0", b"p"]),
)
MARKS = st.sampled_from(
    [
        *map(entry, (whiteout("a"), whiteout("d/a"), opaque("d"), opaque(""), file(".wh..wh.plnk/1", b"linked" * 99))),
        entry(file("d/.wh.b", b"a whiteout with content")),
        pax({"comment": "global"}, kind=b"g"),
        header(b"s", kind=b"7", size=3) + padded(b"abc"),
        pax({"path": "renamed", "size": "5"}) + header(b"short", size=0) + padded(b"12345"),
        long_name(b"d/" + b"o" * 110) + header(b"o", size=3, magic=GNU) + padded(b"123"),
        pax({"GNU.sparse.map": "1,2,9,3", "GNU.sparse.size": "20"}) + header(b"d/sparse", size=5) + padded(b"abcde"),
        header(b"nobody/has/this/", kind=b"5", size=0),
        header(b"root", mode=0, magic=USTAR, size=9) + padded(b"unreadable"[:9]),
    ]
)
ENDS = st.sampled_from([END, END * 10, b"", END[:512], END + b"trailing", END + b"\0" * 4000 + b"x" * 600])
ARCHIVES = st.builds(
    lambda items, end: b"".join(items) + end, st.lists(st.one_of(ITEMS, ITEMS, STRANGE, MARKS), max_size=9), ENDS
)


@EACH_KIND
@given(archive=ARCHIVES, step=st.sampled_from([100, 513, 4096, 1 << 20]))
@example(archive=tar(file("a", b"1" * 600))[: -1024 - 424], step=1 << 20)
@example(archive=b"", step=1)
def test_what_can_be_applied_comes_back_byte_for_byte(archive: bytes, step: int, kind: Kind) -> None:
    with a_place(kind) as folder:
        try:
            record(archive, folder, rootless=kind != "root", step=step)
        except InvalidLayerError:
            return
        found = given_back(folder)

    assert found == archive


SPARSE = pax({"GNU.sparse.map": "1,2,9,3", "GNU.sparse.size": "20"}) + header(b"a", size=5) + padded(b"abcde")
DIR, FILE = directory, file
STORIES: dict[str, Sequence[Item | bytes]] = {
    "the same name twice": [FILE("a", b"1"), FILE("a", b"22"), FILE("a", b"333")],
    "a file removed with its directory": [DIR("d"), DIR("d/e"), FILE("d/e/f", b"1"), FILE("d", b"2"), FILE("b", b"3")],
    "a body under another name alone": [FILE("a", b"1" * 600), hardlink("b", "a"), FILE("a", b"2")],
    "both names of a body removed": [FILE("a", b"1"), hardlink("b", "a"), FILE("a", b"2"), FILE("b", b"3")],
    "a body through a symlink": [DIR("d"), symlink("l", "d"), FILE("l/f", b"through"), FILE("l/g", b"as well")],
    "a body in place of the symlink that leads to it": [symlink("l", "."), FILE("l/l", b"through")],
    "a symlink that became a directory": [DIR("d"), symlink("l", "d"), FILE("l/f", b"1"), DIR("l"), FILE("l/f", b"2")],
    "a directory that became a symlink": [DIR("d"), DIR("l"), FILE("l/f", b"1"), symlink("l", "d"), FILE("l/f", b"2")],
    "a sparse file that was replaced": [SPARSE, FILE("a", b"1"), SPARSE, FILE("b", b"2"), FILE("a", b"")],
    "an empty file that was replaced": [FILE("a"), FILE("a", b"1"), FILE("a"), FILE("b", b"2")],
    "an aufs file": [FILE(".wh..wh.plnk/x", b"hidden"), FILE("a", b"1")],
    "an aufs file with another name": [FILE(".wh..wh.plnk/x", b"shared"), hardlink("a", ".wh..wh.plnk/x"), FILE("b")],
    "an aufs file that a link replaced": [
        FILE(".wh..wh.plnk/x", b"1"),
        hardlink("a", ".wh..wh.plnk/x"),
        FILE("a", b"2"),
    ],
    "a whiteout with content": [FILE(".wh.gone", b"why")],
    "more than a part": [FILE(".wh..wh.x", bytes(range(256)) * 9000), FILE("a", b"z"), FILE("a", b"y" * 3_000_000)],
    "many of everything": [FILE(f"f{number % 4400}", b"%d" % number) for number in range(5000)],
}


@EACH_KIND
@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("codec", [None, Codec.ZLIB], ids=["best", "zlib"])
def test_bodies_that_are_not_where_they_were_put_come_back(story: str, codec: Codec | None, kind: Kind) -> None:
    archive = tar(*STORIES[story])

    with a_place(kind) as folder:
        record(archive, folder, rootless=kind != "root", codec=codec)
        found = given_back(folder)

    assert found == archive


def test_a_million_zeros_behind_the_end_come_back_and_cost_nothing(tmp_path: Path) -> None:
    archive = tar(file("a", b"1")) + bytes(5_000_000) + b"!"

    record(archive, tmp_path)

    assert given_back(tmp_path) == archive
    assert (tmp_path / "recipe").stat().st_size < 5000


@AS_ROOT
@EACH_KIND
@pytest.mark.parametrize("dialect", ["gnu", "oldgnu", "pax", "ustar", "v7"])
@pytest.mark.parametrize("sparse", [(), ("--sparse",)], ids=["full", "sparse"])
def test_what_gnu_tar_writes_comes_back(tmp_path: Path, dialect: str, sparse: tuple[str, ...], kind: Kind) -> None:
    source = tmp_path / "source"
    source.mkdir()
    make_nasty(source, long_names=dialect in ("gnu", "oldgnu", "pax"))
    options = [f"--format={dialect}", *(["--xattrs", "--xattrs-include=*"] if dialect == "pax" else [])]
    command = ["tar", "-cf", "-", *options, *(sparse if dialect not in ("ustar", "v7") else ()), "-C", str(source), "."]
    archive = subprocess.run(command, check=False, capture_output=True).stdout  # v7 cannot hold devices: it says so

    with a_place(kind) as folder:
        record(archive, folder, rootless=kind != "root")
        found, size = given_back(folder), (folder / "recipe").stat().st_size

    assert found == archive
    assert size < 100_000 or sparse


def test_modes_owners_and_devices_that_the_store_cannot_hold_come_back() -> None:
    archive = tar(
        directory("d", mode=0o555, uid=7),
        file("d/f", b"locked", mode=0, gid=9),
        file("d/s", b"setuid", mode=0o4755),
        Item("c", type="char", device=(5, 1), mode=0o620),
        hardlink("h", "c"),
    )

    with a_place("nobody") as folder:
        record(archive, folder)
        mode, found = (folder / "tree" / "d" / "f").stat().st_mode, given_back(folder)

    assert stat.S_IMODE(mode) == 0o600
    assert found == archive


# --- what is not what it was ---

ARCHIVE = tar(directory("d"), file("d/a", b"first" * 300), file("b", b"second"), file("b", b"third"))


@pytest.mark.parametrize("damage", ["changed", "longer", "gone", "symlink", "fifo", "directory", "symlink above"])
def test_a_file_that_is_not_what_it_was_is_named(tmp_path: Path, damage: str) -> None:
    record(ARCHIVE, tmp_path)
    path = tmp_path / "tree" / "d" / "a"
    other = tmp_path / "other"
    other.write_bytes(path.read_bytes())
    if damage == "changed":
        path.write_bytes(b"FIRST" * 300)
    elif damage == "longer":
        path.write_bytes(b"first" * 301)
    else:
        path.unlink()
    if damage == "symlink":
        path.symlink_to(other)
    elif damage == "fifo":
        os.mkfifo(path)
    elif damage == "directory":
        path.mkdir()
    elif damage == "symlink above":
        path.parent.rmdir()
        other.rename(tmp_path / "a")
        path.parent.symlink_to(tmp_path)

    with pytest.raises(StoreCorruptError, match="'d/a' of layer sha256:"):
        given_back(tmp_path)


@pytest.mark.parametrize("damage", ["gone", "file"])
def test_a_tree_that_is_not_there_is_damage(tmp_path: Path, damage: str) -> None:
    record(ARCHIVE, tmp_path)
    shutil.rmtree(tmp_path / "tree")
    if damage == "file":
        (tmp_path / "tree").touch()

    with pytest.raises(StoreCorruptError, match=r"the tree of layer sha256:.* is gone"):
        given_back(tmp_path)


def test_a_tree_that_makes_another_tar_is_told_at_the_end(tmp_path: Path) -> None:
    diff_id = record(ARCHIVE, tmp_path)
    (tmp_path / "else").mkdir()
    other = record(tar(file("b", b"x")), tmp_path / "else")
    assert diff_id != other
    recipe = (tmp_path / "else" / "recipe").read_bytes()
    swapped = _with_diff_id(recipe, bytes.fromhex(diff_id.hex))
    (tmp_path / "else" / "recipe").write_bytes(swapped)

    with opened(tmp_path / "else") as found:
        whole = b"".join(rebuild(found, tmp_path / "else" / "tree"))
        with pytest.raises(StoreCorruptError, match="make another tar"):
            list(verified(found, tmp_path / "else" / "tree"))

    assert whole == tar(file("b", b"x"))


def _with_diff_id(recipe: bytes, digest: bytes) -> bytes:
    head = recipe[:12] + digest + recipe[44 : FILE_HEADER.size - 4]
    return head + crc32(head).to_bytes(4, "little") + recipe[FILE_HEADER.size :]


def test_no_piece_is_much_larger_than_a_reader_wants(tmp_path: Path) -> None:
    record(tar(file("a", b"x" * 3_000_000), *(file(f"f{number}") for number in range(100))), tmp_path)

    with opened(tmp_path) as recipe:
        sizes = [len(piece) for piece in rebuild(recipe, tmp_path / "tree")]

    assert max(sizes) <= 1 << 19
    assert len(sizes) < 20


@AS_ROOT
def test_a_full_disk_is_told_as_one(tmp_path: Path, small_disk: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    archive = tar(file(".wh..wh.x", os.urandom(3_000_000)))

    with Recorder(small_disk / "recipe", tree) as recorder, pytest.raises(StoreFullError):
        apply_layer(Source(archive), tree, lambda _: None, observer=recorder)


def test_columns_can_be_read_alone(tmp_path: Path) -> None:
    record(ARCHIVE, tmp_path)

    with Recipe(tmp_path / "recipe") as recipe:
        names = [block[:100].rstrip(b"\0") for block in recipe.headers()]
        checks = list(recipe.checks())

    assert names == [b"d", b"d/a", b"b", b"b"]
    assert checks == [crc32(body) for body in (b"first" * 300, b"second", b"third")]


def test_a_layer_whose_recipe_makes_no_sense_comes_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Recorder, __: DiffID) -> int:
        raise StoreCorruptError("a column ends too early")

    monkeypatch.setattr(Recorder, "finish", broken)
    (tree := tmp_path / "tree").mkdir()
    data = tar(file("a", b"content"))

    with ThreadPoolExecutor(1) as threads:  # whose umask is its own
        diff_id, report = threads.submit(apply, Source(data), tree, lambda _: None, records=True).result()

    assert diff_id == Digest.of(data)
    assert report.entries == 1
    assert (tree / "a").read_bytes() == b"content"
    assert not recipe_beside(tree).exists()


def test_a_layer_that_replaces_more_of_its_files_than_memory_allows_has_no_recipe(tmp_path: Path) -> None:
    (tree := tmp_path / "tree").mkdir()

    with Recorder(tmp_path / "recipe", tree, removals=10) as recorder:
        diff_id, _ = apply_layer(Source(tar(*[file("f", b"x")] * 11)), tree, lambda _: None, observer=recorder)
        recorder.finish(diff_id)
    (other := tmp_path / "other").mkdir()
    with Recorder(tmp_path / "none", other, removals=10) as recorder:
        diff_id, _ = apply_layer(Source(tar(*[file("f", b"x")] * 12)), other, lambda _: None, observer=recorder)
        with pytest.raises(StoreCorruptError, match="more than 10 of its own files"):
            recorder.finish(diff_id)

    assert (other / "f").read_bytes() == b"x"
