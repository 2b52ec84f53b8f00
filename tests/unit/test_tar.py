"""The tar reader: every dialect, every way of being broken, and nothing lost on the way."""

from __future__ import annotations

import io
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import InvalidLayerError
from headway.layers.tar.entry import CHAR, DIRECTORY, FILE, HARDLINK, SYMLINK, Entry
from headway.layers.tar.limits import Limits
from headway.layers.tar.observer import EXTENSION, OTHER, Mark
from headway.layers.tar.pax_records import NANOSECONDS
from headway.layers.tar.reader import TarReader
from tests.fakes.tars import (
    END,
    GNU,
    V7,
    Item,
    base256,
    directory,
    file,
    hardlink,
    header,
    long_name,
    padded,
    pax,
    symlink,
    tar,
)


def pieces(data: bytes, step: int = 1 << 20) -> Iterator[bytes]:
    return (data[at : at + step] for at in range(0, len(data), step))


def read(data: bytes, step: int = 1 << 20, limits: Limits = Limits()) -> list[tuple[Entry, bytes]]:  # noqa: B008 (frozen)
    reader = TarReader(pieces(data, step), limits=limits)
    return [(entry, b"".join(reader.body())) for entry in reader]


def one(data: bytes) -> Entry:
    ((entry, _),) = read(data)
    return entry


class Recorder:
    """An observer that tells files' contents from everything else by the reader's marks alone."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self.whole = bytearray()
        self.bodies: list[tuple[int, int]] = []  # where each begins, and its bytes
        self.others: list[bytes] = []

    def piece(self, piece: bytes) -> None:
        self.bodies += [(len(self.whole) + at, size) for at, size, step in self.marks if step != EXTENSION]
        self.marks.clear()
        self.whole += piece

    def other(self, entry: Entry) -> None:
        assert self.marks[-1][2] == OTHER
        self.others.append(entry.name)

    def elsewhere(self, path: bytes) -> None:
        raise AssertionError(path)

    def nowhere(self) -> None:
        raise AssertionError

    def sparse(self, descriptor: int) -> None:
        raise AssertionError(descriptor)

    def removing(self, parent: int, path: bytes, status: os.stat_result) -> None:
        raise AssertionError((parent, path, status))

    def marked(self) -> bytes:
        return b"".join(bytes(self.whole[at : at + size]) for at, size in self.bodies)


@pytest.mark.parametrize("step", [1, 100, 512, 700, 1 << 20])
def test_entries_and_bodies_come_in_order_whatever_the_pieces(step: int) -> None:
    data = tar(directory("d/"), file("d/a", b"x" * 513), file("empty"), symlink("l", "d/a"), hardlink("h", "d/a"))

    found = [(entry.name, entry.kind, entry.linkname, body) for entry, body in read(data, step)]

    assert found == [
        (b"d/", DIRECTORY, b"", b""),
        (b"d/a", FILE, b"", b"x" * 513),
        (b"empty", FILE, b"", b""),
        (b"l", SYMLINK, b"d/a", b""),
        (b"h", HARDLINK, b"d/a", b""),
    ]


def test_a_body_inside_one_piece_is_not_copied() -> None:
    data = tar(file("a", b"x" * 100))
    reader = TarReader([data])
    reader.next()

    (view,) = reader.body()

    assert view.obj is data


def test_a_body_that_is_not_asked_for_is_skipped() -> None:
    reader = TarReader(pieces(tar(file("a", b"x" * 5000), file("b")), 700))

    names = [entry.name for entry in reader]

    assert names == [b"a", b"b"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"mode": b"000644 \0"}, ("mode", 0o644)),
        ({"mode": b"   644 \0"}, ("mode", 0o644)),
        ({"mode": b"644\0junk"}, ("mode", 0o644)),
        ({"mode": 0o104755}, ("mode", 0o4755)),
        ({"mode": b""}, ("mode", 0)),
        ({"uid": b"00001750"}, ("uid", 0o1750)),
        ({"uid": base256(4_000_000_000, 8)}, ("uid", 4_000_000_000)),
        ({"gid": base256(65536, 8)}, ("gid", 65536)),
        ({"mtime": 0}, ("mtime_ns", 0)),
        ({"mtime": base256(-1, 12)}, ("mtime_ns", -(10**9))),
        ({"mtime": base256(1 << 33, 12)}, ("mtime_ns", (1 << 33) * 10**9)),
        ({"mtime": b"14371573000\0"}, ("mtime_ns", 0o14371573000 * 10**9)),
        ({"mtime": b"077777777777"}, ("mtime_ns", 0o77777777777 * 10**9)),
        ({"kind": b"7"}, ("kind", FILE)),
        ({"kind": b"\0"}, ("kind", FILE)),
        ({"kind": b"\0", "name": b"d/"}, ("kind", DIRECTORY)),
        ({"kind": b"0", "name": b"d/"}, ("kind", FILE)),
        ({"name": b"a\xff\xfe"}, ("name", b"a\xff\xfe")),
        ({"name": b"a" * 100}, ("name", b"a" * 100)),
        ({"name": b"a", "prefix": b"p/q"}, ("name", b"p/q/a")),
        ({"name": b"a", "prefix": b"p" * 155}, ("name", b"p" * 155 + b"/a")),
        (
            {"name": b"a", "prefix": (b"p" * 131 + b"07346545000 " * 2).ljust(163, b"\0") + b"tar\0"},
            ("name", b"p" * 131 + b"/a"),
        ),
        ({"name": b"a", "prefix": b"\0junk"}, ("name", b"a")),
        ({"name": b"a", "prefix": b"12345", "magic": GNU}, ("name", b"a")),
        ({"name": b"a", "prefix": b"12345", "magic": V7}, ("name", b"a")),
        ({"kind": b"1", "linkname": b"b" * 100}, ("linkname", b"b" * 100)),
        ({"kind": b"3", "major": 5, "minor": 1}, ("device", (5, 1))),
        ({"kind": b"3", "minor": base256(1 << 19, 8)}, ("device", (0, 1 << 19))),
        ({"kind": b"0", "major": b"garbage"}, ("device", (0, 0))),
        ({"kind": b"3", "major": base256(-1, 8), "minor": base256(-1, 8)}, ("device", (0xFFF, 0xFFFFF))),
        ({"kind": b"4", "major": 4097, "minor": base256((1 << 20) + 2, 8)}, ("device", (1, 2))),
        ({"kind": b"3", "major": 5, "minor": 1, "magic": GNU}, ("device", (5, 1))),
        ({"kind": b"3", "major": 5, "minor": 1, "magic": V7}, ("device", (0, 0))),
        ({"uid": base256(-2, 8)}, ("uid", (1 << 32) - 2)),
        ({"uid": base256((1 << 32) + 5, 8)}, ("uid", 5)),
        ({"uid": base256((1 << 32) - 1, 8)}, ("uid", 0)),
        ({"gid": base256(1 << 40, 8)}, ("gid", 0)),
        ({"gid": base256(-1, 8)}, ("gid", 0)),
        ({"mtime": base256(1 << 62, 12)}, ("mtime_ns", 0)),
        ({"mtime": base256(9_223_372_036, 12)}, ("mtime_ns", 9_223_372_036 * NANOSECONDS)),
        ({"mtime": base256(9_223_372_037, 12)}, ("mtime_ns", 0)),
        ({"kind": b"5", "size": base256(-1, 12)}, ("kind", DIRECTORY)),
        ({"prefix": b"old/go", "magic": GNU}, ("name", b"old/go/a")),
        ({"prefix": b"14000000000\0old/go", "magic": GNU}, ("name", b"14000000000/a")),
        ({"prefix": b"14000000000\x0014000000001\0", "magic": GNU}, ("name", b"a")),
        ({"prefix": b"caf\xe9", "magic": GNU}, ("name", b"a")),
    ],
)
def test_a_header_field_means_what_its_dialect_says(fields: dict[str, bytes], expected: tuple[str, object]) -> None:
    name = fields.pop("name", b"a")

    entry = one(header(name, **fields) + END)

    assert getattr(entry, expected[0]) == expected[1]


def test_a_time_that_no_file_here_can_have_is_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headway.layers.tar.reader._TIME_LIMIT", NANOSECONDS << 31)  # as where time_t has 32 bits

    times = [entry.mtime_ns for entry in TarReader([header(b"a", mtime=(1 << 31) - 1) + header(b"b", mtime=1 << 31)])]

    assert times == [((1 << 31) - 1) * NANOSECONDS, 0]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ({"path": "p" * 300}, ("name", b"p" * 300)),
        ({"path": "file/"}, ("kind", FILE)),
        ({"path": ""}, ("name", b"a")),
        ({"path": b"\xff=\n "}, ("name", b"\xff=\n ")),
        ({"linkpath": "t" * 300}, ("linkname", b"t" * 300)),
        ({"uid": "3000000000"}, ("uid", 3_000_000_000)),
        ({"gid": "70000"}, ("gid", 70_000)),
        ({"mtime": "1.5"}, ("mtime_ns", 1_500_000_000)),
        ({"mtime": "12"}, ("mtime_ns", 12_000_000_000)),
        ({"mtime": "12."}, ("mtime_ns", 12_000_000_000)),
        ({"mtime": "1.123456789999"}, ("mtime_ns", 1_123_456_789)),
        ({"mtime": "-1.5"}, ("mtime_ns", -1_500_000_000)),
        ({"mtime": "-0.25"}, ("mtime_ns", -250_000_000)),
        ({"SCHILY.xattr.user.a": b"\0b", "x": "y"}, ("xattrs", {b"user.a": b"\0b"})),
        ({"SCHILY.xattr.user.a": ""}, ("xattrs", {b"user.a": b""})),
        ({"mtime": "+5"}, ("mtime_ns", 5_000_000_000)),
        ({"mtime": str((1 << 63) - 1)}, ("mtime_ns", 0)),
        ({"uid": "+5"}, ("uid", 5)),
        ({"uid": "-2"}, ("uid", (1 << 32) - 2)),
        ({"uid": str((1 << 32) - 1)}, ("uid", 0)),
        ({"gid": str(1 << 40)}, ("gid", 0)),
        ({"size": "-0"}, ("size", 0)),
        ({"atime": "+5", "ctime": ""}, ("name", b"a")),
        ({"LIBARCHIVE.xattr.user.a": "Yg=="}, ("xattrs", {})),
        ({"comment": "c"}, ("pax", {b"comment": b"c"})),
    ],
)
def test_a_pax_record_goes_before_the_header(records: dict[str, bytes | str], expected: tuple[str, object]) -> None:
    entry = one(pax(records) + header(b"a", uid=1, gid=2) + END)

    assert getattr(entry, expected[0]) == expected[1]


def test_a_pax_size_is_the_length_of_the_body() -> None:
    data = pax({"size": "600"}) + header(b"a", size=0) + padded(b"x" * 600) + tar(file("b"))

    found = [(entry.name, len(body)) for entry, body in read(data)]

    assert found == [(b"a", 600), (b"b", 0)]


def test_a_size_of_more_than_8_gib_is_read() -> None:
    reader = TarReader(pieces(header(b"a", size=base256(9 << 30, 12))))

    entry = reader.next()

    assert entry is not None
    assert entry.size == 9 << 30


def test_a_long_name_whose_hundredth_byte_is_a_slash_is_still_a_file() -> None:
    name = b"d" * 99 + b"/" + b"f"

    entry = one(long_name(name) + header(name[:100], magic=GNU) + END)

    assert (entry.name, entry.kind) == (name, FILE)


@pytest.mark.parametrize("extended", [b"", long_name(b"a/"), pax({"path": "a/"})])
def test_a_slash_behind_its_name_makes_a_directory_of_what_was_a_file_before_posix_only(extended: bytes) -> None:
    old = extended + header(b"a/", kind=b"\0", size=5) + tar(file("b"))
    new = extended + header(b"a/", kind=b"0", size=5) + padded(b"hello") + tar(file("b"))

    assert [(entry.kind, body) for entry, body in read(old)] == [(DIRECTORY, b""), (FILE, b"")]
    assert [(entry.kind, body) for entry, body in read(new)] == [(FILE, b"hello"), (FILE, b"")]


def test_gnu_long_names_and_links_belong_to_the_next_entry_only() -> None:
    data = long_name(b"t" * 200, kind=b"K") + long_name(b"n" * 200) + header(b"n", kind=b"2") + tar(file("b"))

    found = [(entry.name, entry.linkname) for entry, _ in read(data)]

    assert found == [(b"n" * 200, b"t" * 200), (b"b", b"")]


def test_gnu_long_names_and_links_go_before_those_of_pax_as_in_go() -> None:
    extended = long_name(b"link", kind=b"K") + long_name(b"long") + pax({"path": "pax", "linkpath": "pax"})

    entry = one(extended + header(b"a", kind=b"2") + END)

    assert (entry.name, entry.linkname) == (b"long", b"link")


def test_a_sparse_files_name_is_that_of_no_other_file() -> None:
    assert one(pax({"GNU.sparse.name": "b"}) + header(b"a") + END).name == b"a"
    assert one(pax({"GNU.sparse.name": "b\0"}) + header(b"a") + END).name == b"a"


@pytest.mark.parametrize(
    "records",
    [
        {"GNU.sparse.major": "2", "GNU.sparse.minor": "0"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "1"},
        {"GNU.sparse.major": "1"},
        {"GNU.sparse.minor": "1", "GNU.sparse.map": "0,1"},
        {"GNU.sparse.map": ""},
    ],
)
def test_a_sparse_form_that_nobody_knows_is_a_file_like_others_as_in_go(records: dict[str, str]) -> None:
    extended = pax({**records, "GNU.sparse.name": "b", "GNU.sparse.size": "9", "GNU.sparse.realsize": "9"})

    ((entry, body),) = read(extended + tar(file("a", b"x")))

    assert (entry.name, entry.sparse, entry.size, body) == (b"a", None, 1, b"x")


def test_the_last_extended_header_before_an_entry_counts_as_in_go() -> None:
    data = pax({"path": "lost", "uid": "5"}) + pax({"mtime": "7"}) + tar(file("a"))

    entry = one(data)

    assert (entry.name, entry.uid, entry.mtime_ns) == (b"a", 0, 7_000_000_000)


def test_global_records_mean_nothing_as_in_docker() -> None:
    data = pax({"uid": "5", "path": "lost", "mtime": "now"}, kind=b"g") + tar(file("a"), file("b"))

    assert [(entry.name, entry.uid, entry.pax) for entry, _ in read(data)] == [(b"a", 0, {}), (b"b", 0, {})]


@pytest.mark.parametrize("extended", [pax({"path": "lost"}), long_name(b"lost")])
def test_what_comes_before_a_global_header_belongs_to_that(extended: bytes) -> None:
    data = extended + pax({"comment": "c"}, kind=b"g") + pax({"uid": "5"}) + tar(file("a"))

    entry = one(data)

    assert (entry.name, entry.uid) == (b"a", 5)


def test_an_archive_of_nothing_but_global_records_is_empty() -> None:
    assert read(pax({"comment": "c"}, kind=b"g") + END) == []


def test_a_map_of_a_sparse_file_holds_for_no_other_file() -> None:
    data = pax({"GNU.sparse.map": "1,1", "GNU.sparse.size": "9"}, kind=b"g") + tar(file("a", b"x"), file("b", b"y"))

    found = [(entry.sparse, entry.size, body) for entry, body in read(data)]

    assert found == [(None, 1, b"x"), (None, 1, b"y")]


def test_many_extended_headers_of_one_entry_cost_what_they_are_long() -> None:
    def seconds(count: int) -> float:
        data = b"".join(pax({f"k{number}": ""}) for number in range(count)) + tar(file("a"))
        began = time.process_time()
        read(data)
        return time.process_time() - began

    assert min(seconds(16_000) for _ in range(3)) < 9 * min(seconds(4_000) for _ in range(3))


@pytest.mark.parametrize("kind", ["hardlink", "symlink", "dir", "fifo", "char", "block"])
def test_what_has_no_content_has_none_even_where_its_header_gives_a_size(kind: str) -> None:
    data = header(b"a", kind=tar(Item("a", type=kind))[156:157], size=5000) + tar(file("b"))

    names = [entry.name for entry, _ in read(data)]

    assert names == [b"a", b"b"]


@pytest.mark.parametrize(
    "end", [b"", b"\0" * 512, b"\0" * 1100, END, END + b"garbage" * 1000, END + tar(file("hidden"))]
)
@pytest.mark.parametrize("step", [1, 700, 1 << 20])
def test_an_archive_may_end_in_any_of_these_ways_and_all_of_it_is_consumed(end: bytes, step: int) -> None:
    data = tar(file("a", b"x"), end=end)
    reader = TarReader(pieces(data, step))

    names = [entry.name for entry in reader]

    assert names == [b"a"]
    assert reader.position == len(data)


@pytest.mark.parametrize("end", [b"\0" * 513, b"\0" * 1023, b"\0" * 700])
@pytest.mark.parametrize("step", [1, 700, 1 << 20])
def test_half_an_end_marker_is_truncated_as_in_go(end: bytes, step: int) -> None:
    with pytest.raises(InvalidLayerError, match="truncated"):
        list(TarReader(pieces(tar(file("a", b"x"), end=end), step)))


def test_an_empty_stream_is_an_empty_archive() -> None:
    assert read(b"") == []


def test_the_last_padding_may_be_missing() -> None:
    assert read(header(b"a", size=5) + b"hello")[0][1] == b"hello"


def test_a_single_empty_block_between_entries_is_an_invalid_layer() -> None:
    with pytest.raises(InvalidLayerError, match="empty block"):
        read(tar(file("a"), end=bytes(512)) + tar(file("b")))


def test_an_archive_cut_anywhere_is_truncated_unless_it_ends_between_entries() -> None:
    first = pax({"mtime": "1.5"}) + header(b"a", size=600) + b"x" * 600
    padding = bytes(424)
    second = long_name(b"n" * 600) + header(b"n") + header(b"c", size=1) + b"y"
    ends = {0, *range(len(first), len(first + padding) + 1), len(first + padding + second) - 513}
    whole = first + padding + second

    accepted = {cut for cut in range(len(whole)) if _is_readable(whole[:cut])}

    assert accepted == ends


def _is_readable(data: bytes) -> bool:
    try:
        read(data)
    except InvalidLayerError as error:
        return "truncated" not in str(error)
    return True


@pytest.mark.parametrize("at", [0, 100, 124, 148, 156, 257, 345, 511])
def test_a_flipped_byte_in_a_header_is_an_invalid_layer_that_says_where(at: int) -> None:
    data = bytearray(tar(file("a", b"x"), file("b", b"y")))
    data[1024 + at] ^= 0x41

    with pytest.raises(InvalidLayerError, match="near byte 1536 of its tar"):
        read(bytes(data))


def test_a_checksum_over_signed_bytes_is_accepted() -> None:
    block = header(b"caf\xe9")
    signed = int(block[148:154], 8) - 256
    old = block[:148] + b"%06o\0 " % signed + block[156:]

    assert one(old + END).name == b"caf\xe9"


@pytest.mark.parametrize("form", [b"%06o\0 ", b"%07o\0", b"%08o", b"%06o  ", b"%o\0\0\0\0", b" %06o\0"])
def test_a_checksum_is_a_number_like_others(form: bytes) -> None:
    block = header(b"a")

    assert one(block[:148] + form % int(block[148:154], 8) + block[156:] + END).name == b"a"


@pytest.mark.parametrize(
    "data",
    [
        header(b"a", size=b"12x\0"),
        header(b"a", size=b"1_0\0"),
        header(b"a", size=b"0o17\0"),
        header(b"a", size=b"-1\0"),
        header(b"a", size=b"89\0"),
        header(b"a", size=base256(-1, 12)),
        header(b"a", size=base256(1 << 60, 12)),
        header(b"a", mtime=base256(1 << 63, 12)),
        header(b"a", size=base256(-(1 << 63) - 1, 12)),
        header(b"a", checksum=b"garbage!"),
        pax({"uid": "1_0"}) + header(b"a"),
        pax({"uid": "+"}) + header(b"a"),
        pax({"uid": "--1"}) + header(b"a"),
        pax({"uid": str(1 << 63)}) + header(b"a"),
        pax({"size": "-1"}) + header(b"a"),
        pax({"mtime": str(1 << 63)}) + header(b"a"),
        pax({"atime": "now"}) + header(b"a"),
        pax({"ctime": "1.x"}) + header(b"a"),
        pax({"uname": "a\0b"}) + header(b"a"),
        pax({"GNU.sparse.name": "a\0b", "GNU.sparse.map": "0,0", "GNU.sparse.size": "0"}) + header(b"a"),
        pax({"gname": "a\0b"}) + header(b"a"),
        pax({"": "b"}) + header(b"a"),
        pax({"a\0": "b"}) + header(b"a"),
        pax({"a\0": "b"}, kind=b"g") + header(b"a"),
        pax({"size": "1" * 5000}) + header(b"a"),
        pax({"mtime": "now"}) + header(b"a"),
        pax({"mtime": "1.x"}) + header(b"a"),
        pax({"path": "a\0b"}) + header(b"a"),
        pax({"linkpath": "a\0b"}) + header(b"a"),
        pax({"SCHILY.xattr.user.\0": "b"}) + header(b"a"),
        header(b"x", kind=b"x", size=10) + padded(b"9 path=ab\n") + header(b"a"),
        header(b"x", kind=b"x", size=10) + padded(b"11 path=a\n") + header(b"a"),
        header(b"x", kind=b"x", size=10) + padded(b"0 path=ab\n") + header(b"a"),
        header(b"x", kind=b"x", size=10) + padded(b"path=abcd\n") + header(b"a"),
        header(b"x", kind=b"x", size=10) + padded(b"10 pathab\n") + header(b"a"),
        header(b"x", kind=b"x", size=10) + padded(b"10 path=abc") + header(b"a"),
        header(b"x", kind=b"x", size=base256(-512, 12)) + header(b"a"),
        b"this is a text and not an archive".ljust(512, b"."),
    ],
)
def test_what_makes_no_sense_is_an_invalid_layer(data: bytes) -> None:
    with pytest.raises(InvalidLayerError, match=r"near byte \d+ of its tar"):
        read(data + END)


@pytest.mark.parametrize(
    ("data", "limits", "message"),
    [
        (tar(file("a"), file("b"), file("c")), Limits(entries=2), "more than 2 entries"),
        (tar(file("a" * 50)), Limits(path_bytes=49), "longer than 49 bytes"),
        (tar(symlink("a", "t" * 50)), Limits(path_bytes=49), "longer than 49 bytes"),
        (header(b"a", size=5000), Limits(expanded_bytes=4999), "file of 5000 bytes"),
        (tar(file("a", b"x" * 5000)), Limits(expanded_bytes=5500), "expands to more than 5500 bytes"),
        (pax({"k": "v" * 1000}) + tar(file("a")), Limits(extension_bytes=1000), "more than 1000 bytes"),
        (pax({"k": "v" * 600}) * 2 + tar(file("a")), Limits(extension_bytes=1000), "more than 1000 bytes"),
        (long_name(b"n" * 1000) + tar(file("a")), Limits(extension_bytes=1000), "more than 1000 bytes"),
    ],
)
def test_beyond_a_limit_is_an_invalid_layer_that_names_the_limit(data: bytes, limits: Limits, message: str) -> None:
    with pytest.raises(InvalidLayerError, match=message):
        read(data, limits=limits)


# --- nothing is lost ---

NAMES = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name)
ITEMS = st.lists(
    st.one_of(
        st.builds(
            file,
            NAMES.filter(lambda name: not name.endswith(b"/")),
            st.binary(max_size=2000),
            records=st.sampled_from([{}, {"mtime": "1.5"}]),
        ),
        st.builds(directory, NAMES),
        st.builds(symlink, NAMES, NAMES),
        st.builds(hardlink, NAMES, NAMES),
    ),
    max_size=6,
)


@given(items=ITEMS, step=st.integers(1, 3000), tail=st.binary(max_size=1500))
def test_what_the_observer_sees_and_the_bodies_are_the_whole_archive(items: list[Item], step: int, tail: bytes) -> None:
    data = tar(*items) + tail
    recorder = Recorder()
    reader = TarReader(pieces(data, step), observer=recorder)

    found = [(entry.name, b"".join(reader.body())) for entry in reader]

    names, bodies = [name for name, _ in found], b"".join(body for _, body in found)
    assert recorder.whole == data
    assert recorder.marked() == bodies
    assert recorder.others == [name for name in names if len(name) > 100]


@given(items=ITEMS)
def test_names_targets_and_contents_come_back_exactly(items: list[Item]) -> None:
    found = [(entry.name, entry.linkname, body) for entry, body in read(tar(*items))]

    assert found == [(item.name, item.link, item.body) for item in items]


@given(data=st.binary(max_size=3000), at=st.integers(0, 2000))
def test_garbage_is_an_invalid_layer_and_nothing_else(data: bytes, at: int) -> None:
    good = tar(file("a", b"x" * 700), long_name(b"n" * 150), file("b"))
    broken = good[:at] + data + good[at:]

    with suppress(InvalidLayerError):
        read(broken)


# --- sparse files ---


def expand(entry: Entry, body: bytes) -> bytes:
    content = bytearray(entry.size)
    source = io.BytesIO(body)
    for offset, length in entry.sparse or ():
        content[offset : offset + length] = source.read(length)
    return bytes(content)


@pytest.mark.parametrize(
    "dialect",
    [
        ("--format=gnu",),
        ("--format=oldgnu",),
        ("--format=pax", "--sparse-version=0.0"),
        ("--format=pax", "--sparse-version=0.1"),
        ("--format=pax", "--sparse-version=1.0"),
    ],
)
@pytest.mark.parametrize("parts", [0, 1, 4, 5, 26, 300])
def test_every_sparse_form_of_gnu_tar_gives_the_file_back(dialect: tuple[str, ...], parts: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sparse" + "x" * 120)
        with path.open("wb") as target:
            for part in range(parts):
                target.seek(part * 16384 + 4096)
                target.write(b"%d" % part * 100)
            target.truncate(parts * 16384 + 50_000)
        content = path.read_bytes()
        command = ["tar", *dialect, "--sparse", "--hole-detection=raw", "-cf", "-", "-C", folder, path.name]
        archive = subprocess.run(command, check=True, capture_output=True).stdout
        recorder = Recorder()

        reader = TarReader(pieces(archive, 5000), observer=recorder)
        entry = reader.next()
        assert entry is not None
        body = b"".join(reader.body())
        rest = reader.next()

    assert rest is None
    assert entry.name == path.name.encode()
    assert len(entry.sparse or ()) >= parts
    assert expand(entry, body) == content
    assert (bytes(recorder.whole), recorder.marked()) == (archive, body)
    assert recorder.others == [entry.name]


def old_sparse(*parts: tuple[int, int], size: int = 10_000, stored: int = 10) -> bytes:
    block = bytearray(header(b"s", kind=b"S", size=stored, magic=GNU))
    for index, (offset, length) in enumerate(parts):
        block[386 + 24 * index : 410 + 24 * index] = b"%011o\0%011o\0" % (offset, length)
    block[483:495] = b"%011o\0" % size
    block[148:156] = b" " * 8
    return bytes(block[:148] + b"%06o\0 " % sum(block) + block[156:]) + padded(b"x" * stored)


SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s", "GNU.sparse.realsize": "100"}


@pytest.mark.parametrize(
    "data",
    [
        old_sparse((0, 5)),
        old_sparse((0, 11)),
        old_sparse((5, 5), (0, 5)),
        old_sparse((0, 6), (5, 4)),
        old_sparse((9_995, 10)),
        pax(SPARSE) + header(b"a", size=5) + padded(b"1\n0\n5"),
        pax(SPARSE) + header(b"a", size=512) + padded(b"1\n0\n5\n"),
        pax(SPARSE) + header(b"a", size=512) + b"9" * 512,
        pax(SPARSE) + header(b"a", size=512) + padded(b"999999999\n"),
        pax(SPARSE) + header(b"a", size=1024) + padded(b"1\n0\n512\n3\n") + padded(b"x"),
        pax(SPARSE | {"GNU.sparse.realsize": "x"}) + header(b"a", size=512) + padded(b"0\n"),
        pax({"GNU.sparse.map": "0,5,6", "GNU.sparse.size": "10"}) + header(b"a", size=5) + padded(b"hello"),
        pax({"GNU.sparse.map": "0,x", "GNU.sparse.size": "10"}) + header(b"a", size=5) + padded(b"hello"),
        pax({"GNU.sparse.map": "0,5"}) + header(b"a", size=5) + padded(b"hello"),
        pax({"GNU.sparse.map": "0,5", "GNU.sparse.size": str(1 << 50)}) + header(b"a", size=5) + padded(b"hello"),
    ],
)
def test_a_sparse_map_that_does_not_fit_is_an_invalid_layer(data: bytes) -> None:
    with pytest.raises(InvalidLayerError, match="of its tar"):
        read(data + END)


def test_a_device_is_told_from_a_file() -> None:
    assert one(tar(Item("c", type="char", device=(1, 3)))).kind == CHAR
