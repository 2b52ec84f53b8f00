"""Layers that are packed for a push."""

from __future__ import annotations

import gzip
import random
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import isal_zlib

from headway.interfaces.packing import Packed
from headway.layers.compression.deflating import BLOCK, WINDOW, Deflate, deflate, with_zlib, with_zlib_ng
from headway.layers.compression.packing import IN_FLIGHT, GzipPacker, in_blocks
from headway.oci.digest import Digest

ENGINES = (with_zlib, with_zlib_ng)
SIZES = (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + WINDOW)


def some(size: int) -> bytes:
    """Return so many bytes that compress about as files do."""
    chance = random.Random(size)
    words = [chance.randbytes(chance.randrange(3, 12)) for _ in range(500)]
    made = bytearray()
    while len(made) < size:
        made += b"".join(chance.choices(words, k=1000))
    return bytes(made[:size])


def packed(pieces: Iterator[bytes] | list[bytes], *, threads: int = 2, engine: Deflate | None = None) -> bytes:
    out: list[bytes] = []
    with closing(GzipPacker(threads, engine)) as packer:
        result = packer(pieces, out.append)
    blob = b"".join(out)
    assert result == Packed(Digest.of(blob), len(blob))
    return blob


@given(st.lists(st.binary(max_size=300), max_size=20), st.integers(1, 64))
def test_blocks_have_one_length_whatever_the_pieces(pieces: list[bytes], size: int) -> None:
    blocks = list(in_blocks(pieces, size))

    assert b"".join(blocks) == b"".join(pieces)
    assert {len(block) for block in blocks[:-1]} <= {size}
    assert not blocks or 0 < len(blocks[-1]) <= size


@settings(max_examples=25)
@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_tar_is_packed_so_that_gzip_gives_it_back(pieces: list[bytes]) -> None:
    assert gzip.decompress(packed(pieces)) == b"".join(pieces)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", SIZES)
def test_a_packed_tar_is_one_member_to_every_library(size: int, engine: Deflate) -> None:
    tar = some(size)

    blob = packed([tar], engine=engine)

    for reader in (zlib.decompressobj(wbits=31), isal_zlib.decompressobj(wbits=31)):
        assert reader.decompress(blob) == tar
        assert reader.eof
        assert reader.unused_data == b""


@pytest.mark.parametrize("program", ["gzip", "pigz", "unpigz", "igzip"])
def test_a_packed_tar_is_read_by_other_programs(program: str) -> None:
    tar = some(3 * BLOCK + 5)

    read = subprocess.run([program, "-dc"], input=packed([tar]), capture_output=True, check=True)

    assert read.stdout == tar


@pytest.mark.parametrize("engine", ENGINES)
def test_neither_threads_nor_pieces_change_a_byte(engine: Deflate) -> None:
    tar = some(9 * BLOCK + 7)
    pieces = [tar[at : at + 100_001] for at in range(0, len(tar), 100_001)]

    blobs = {
        packed([tar], threads=1, engine=engine),
        packed(pieces, threads=1, engine=engine),
        packed(pieces, threads=5, engine=engine),
    }

    assert len(blobs) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_blocks_look_back_into_the_block_before(engine: Deflate) -> None:
    tail = some(WINDOW // 2)

    apart = len(engine(tail, b""))

    assert len(engine(tail, tail)) < apart / 20


def test_blocks_cost_no_more_than_a_stream_of_zlib() -> None:
    tar = some(8 * BLOCK)

    assert len(packed([tar], engine=with_zlib)) < 1.005 * len(gzip.compress(tar, 6))


@pytest.mark.parametrize("engine", ENGINES)
def test_noise_comes_back_as_it_was_and_hardly_grows(engine: Deflate) -> None:
    tar = random.Random(2).randbytes(2 * BLOCK) + bytes(BLOCK // 2) + random.Random(3).randbytes(BLOCK)

    blob = packed([tar], engine=engine)

    assert gzip.decompress(blob) == tar
    assert len(blob) < 3 * BLOCK * 1.002


def test_what_is_noise_to_matches_alone_is_coded_as_well_as_zlib_does() -> None:
    normal = random.Random(5).gauss
    weights = struct.pack(f"<{BLOCK // 4}f", *(normal(0, 0.02) for _ in range(BLOCK // 4)))

    assert len(with_zlib_ng(weights, b"")) < 1.001 * len(with_zlib(weights, b""))


@pytest.mark.parametrize("engine", ENGINES)
def test_words_behind_noise_are_found_all_the_same(engine: Deflate) -> None:
    words = some(BLOCK // 2)
    block = words + random.Random(4).randbytes(BLOCK // 2)

    assert len(engine(block, b"")) < len(engine(words, b"")) + BLOCK // 2 * 1.05


def test_a_packed_tar_tells_neither_time_nor_name() -> None:
    assert packed([b"tar"])[:10] == bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3])


def test_only_a_few_blocks_are_under_way_while_the_disk_is_slow() -> None:
    given_out = 0
    most = 0

    def tar() -> Iterator[bytes]:
        nonlocal given_out
        for _ in range(40):
            given_out += 1
            yield bytes(BLOCK)

    written = 0

    def write(data: bytes) -> None:
        nonlocal written, most
        most = max(most, given_out - written)
        written += 1

    with closing(GzipPacker(3)) as packer:
        packer(tar(), write)

    assert most <= 3 + IN_FLIGHT + 1  # the header is written first


def test_what_stops_a_tar_stops_its_packing_and_no_other() -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(5 * BLOCK)
        raise InterruptedError

    with closing(GzipPacker(2)) as packer:
        with pytest.raises(InterruptedError):
            packer(broken(), lambda _: None)

        out: list[bytes] = []
        packer([b"tar"], out.append)

    assert gzip.decompress(b"".join(out)) == b"tar"


def test_layers_that_are_packed_at_once_share_the_threads() -> None:
    tars = [some(6 * BLOCK + number) for number in range(4)]
    names: set[str] = set()

    def engine(block: bytes, window: bytes) -> bytes:
        names.add(threading.current_thread().name)
        return with_zlib(block, window)

    blobs: dict[int, list[bytes]] = {number: [] for number in range(4)}
    with closing(GzipPacker(2, engine)) as packer:
        layers = [threading.Thread(target=packer, args=([tars[number]], blobs[number].append)) for number in range(4)]
        for layer in layers:
            layer.start()
        for layer in layers:
            layer.join()

    assert [gzip.decompress(b"".join(blobs[number])) for number in range(4)] == tars
    assert len(names) == 2


def test_zlib_ng_deflates_where_it_is_installed() -> None:
    assert deflate() is with_zlib_ng


@pytest.mark.parametrize("missing", ["zlib_ng", "isal"])
def test_zlib_deflates_where_one_of_the_others_is_not(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)

    assert deflate() is with_zlib
