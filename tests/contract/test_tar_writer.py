"""Archives that Headway writes: read back by its own reader, and by GNU tar."""

from __future__ import annotations

import os
import subprocess
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.layers.tar.entry import CHAR, DIRECTORY, FIFO, FILE, HARDLINK, SYMLINK, Entry
from headway.layers.tar.reader import TarReader
from headway.layers.tar.writer import Member, archive, file, header, joined
from headway.layers.trees.members import members


def read_entries(data: bytes) -> list[tuple[Entry, bytes]]:
    reader = TarReader([data])
    return [(entry, b"".join(reader.body())) for entry in reader]


NAMES = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name and not name.endswith(b"/"))
NUMBERS = st.integers(0, 2**31)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    kind = draw(st.sampled_from([FILE, HARDLINK, SYMLINK, CHAR, DIRECTORY, FIFO]))
    link = draw(NAMES) if kind in (HARDLINK, SYMLINK) else b""
    return Entry(
        draw(NAMES),
        kind,
        draw(st.integers(0, 0o7777)),
        draw(NUMBERS),
        draw(NUMBERS),
        0,
        draw(st.integers(-(2**40), 2**62)),
        link,
        draw(st.tuples(st.integers(0, 4095), st.integers(0, 255))) if kind == CHAR else (0, 0),
        xattrs=draw(st.dictionaries(st.sampled_from([b"user.a", b"security.capability"]), st.binary(max_size=90))),
    )


def test_an_attribute_that_no_record_can_name_does_not_become_another() -> None:
    entry = file(b"a", 0)
    entry.xattrs = {b"user.a=b": b"c", b"user.d": b"e=f"}

    ((read, _),) = read_entries(b"".join(archive([(entry, ())])))

    assert read.xattrs == {b"user.d": b"e=f"}


@given(st.lists(st.tuples(entries(), st.binary(max_size=1500)), max_size=5))
def test_what_was_written_is_what_is_read(pairs: list[tuple[Entry, bytes]]) -> None:
    written: list[Member] = []
    for entry, body in pairs:
        entry.size = len(body) if entry.kind == FILE else 0
        written.append((entry, (body,) if entry.kind == FILE else ()))

    found = read_entries(b"".join(archive(written)))

    assert [(seen(entry), body) for entry, body in found] == [(seen(entry), b"".join(body)) for entry, body in written]


def seen(entry: Entry) -> tuple[object, ...]:
    return (
        entry.name,
        entry.kind,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.size,
        entry.mtime_ns,
        entry.linkname,
        entry.device,
        dict(entry.xattrs),
    )


def test_a_plain_file_needs_one_block_and_no_extension() -> None:
    assert len(header(file(b"etc/hostname", 12))) == 512


@pytest.mark.parametrize(
    ("name", "is_enough"),
    [
        (b"n" * 100, True),
        (b"n" * 101, False),
        (b"p" * 155 + b"/" + b"n" * 100, True),
        (b"p" * 156 + b"/" + b"n" * 99, False),
        (b"p" * 20 + b"/" + b"n" * 101, False),
        (b"/" + b"n" * 100, False),
        (b"p" * 20 + b"/" + b"n" * 90 + b"\xc3\xa9", False),
    ],
)
def test_a_name_needs_no_extension_where_posixs_two_fields_hold_it(name: bytes, *, is_enough: bool) -> None:
    assert (len(header(file(name, 12))) == 512) is is_enough


def test_a_file_of_more_than_eight_gibibytes_says_so() -> None:
    assert b"size=9000000000\n" in header(file(b"large", 9_000_000_000))


def test_a_body_of_another_length_is_not_written_as_if_nothing_were() -> None:
    with pytest.raises(ValueError, match="2 bytes where 3 were announced"):
        list(archive([(file(b"a", 3), (b"ab",))]))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "b" / "deep").mkdir(parents=True)
    (top / "b" / "file").write_bytes(b"content" * 100)
    os.link(top / "b" / "file", top / "b" / "second")
    (top / "a-link").symlink_to("../../outside")
    os.mkfifo(top / "fifo")
    (top / ("n" * 120)).write_bytes(b"long name")
    os.setxattr(top / "b" / "file", "user.note", b"kept")
    os.utime(top / "b" / "file", ns=(0, 1_234_567_891_234_567_891))
    (top / "b").chmod(0o2751)
    return top


def archived(tree: Path, shown: bytes = b"") -> bytes:
    descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return b"".join(archive(members(descriptor, b".", shown)))
    finally:
        os.close(descriptor)


def test_gnu_tar_unpacks_a_trees_archive_to_the_same_tree(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()

    subprocess.run(["tar", "-xp", "--xattrs", "-C", tmp_path / "copy"], input=archived(tree), check=True)

    assert archived(tmp_path / "copy") == archived(tree)
    assert (tmp_path / "copy/b/second").stat().st_ino == (tmp_path / "copy/b/file").stat().st_ino
    assert os.getxattr(tmp_path / "copy/b/file", "user.note") == b"kept"
    assert (tmp_path / "copy/b/file").stat().st_mtime_ns == 1_234_567_891_234_567_891


def test_a_tree_can_be_shown_under_a_name_and_without_its_top(tree: Path) -> None:
    with_top = [entry.name for entry, _ in read_entries(archived(tree, b"top"))]
    without = [entry.name for entry, _ in read_entries(archived(tree))]

    assert with_top[:2] == [b"top/", b"top/a-link"]
    assert without[:2] == [b"a-link", b"b/"]


def test_pieces_are_joined_without_a_byte_lost() -> None:
    pieces = [b"a" * 3, b"b" * 7, b"c"]

    assert list(joined(pieces, 5)) == [b"aaabbbbbbb", b"c"]


def test_what_is_taken_slowly_is_held_once() -> None:
    source = joined((bytes([number]) * 700_000 for number in range(8)), 1_200_000)
    tracemalloc.start()
    try:
        taken = next(source)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (len(taken), held < 2_500_000) == (1_400_000, True)
