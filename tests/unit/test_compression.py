"""Blobs to tar bytes: formats told by their first bytes, several members, broken and hostile streams."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from headway.errors import InvalidLayerError
from headway.layers.compression.expanding import HEAD, PIECE, Compression, decompressor, detect, expand
from headway.layers.compression.stream_headers import zstd_frame
from tests.fakes.tars import Source, file, tar

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DATA = random.Random(1).randbytes(150_000) + b"headway " * 100_000
SKIPPABLE = b"\x53\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"

ENCODERS: dict[Compression, Callable[[bytes], bytes]] = {
    Compression.NONE: bytes,
    Compression.GZIP: gzip.compress,
    Compression.ZSTD: lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),
    Compression.XZ: lambda data: lzma.compress(data, preset=0),
    Compression.BZIP2: bz2.compress,
}
ENCODED = {form: encode(DATA) for form, encode in ENCODERS.items()}
COMPRESSED = [form for form in Compression if form is not Compression.NONE]


def unpacked(blob: bytes, step: int = 1 << 20, *, engine: str = "isal") -> bytes:
    return b"".join(expand(Source(blob, step), lambda _: None, isal=engine == "isal"))


def gzip_member(flags: int, data: bytes = b"hello") -> bytes:
    head = b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\x03"
    head += b"\x05\0extra" if flags & 4 else b""
    head += b"name\0" if flags & 8 else b""
    head += b"comment\0" if flags & 16 else b""
    head += (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little") if flags & 2 else b""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = deflate.compress(data) + deflate.flush()
    return head + body + zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")


@pytest.mark.parametrize("form", list(Compression))
@pytest.mark.parametrize("step", [1, 511, 70_000, 1 << 20])
@pytest.mark.parametrize("engine", ["isal", "zlib"])
def test_every_format_is_told_by_its_first_bytes_and_expanded_whatever_the_pieces(
    form: Compression, step: int, engine: str
) -> None:
    data = DATA if step > 1 else b"headway " * 9
    blob = ENCODERS[form](data)

    result = unpacked(blob, step, engine=engine)

    assert detect(blob[:6]) is form
    assert result == data


@pytest.mark.parametrize("name", [b"BZhang", b"\x1f\x8b\x08", b"\xfd7zXZ", b"\x28\xb5/\xfd"])
def test_a_tar_whose_first_name_is_the_magic_of_a_format_is_a_tar(name: bytes) -> None:
    data = tar(file(name, b"x"))

    assert detect(data[:HEAD]) is Compression.NONE
    assert unpacked(data, 100) == data


def _small(form: Compression) -> bytes:
    return ENCODERS[form](b"headway " * 9)


@pytest.mark.parametrize("form", COMPRESSED)
@pytest.mark.parametrize("step", [1, 1000])
def test_members_behind_one_another_are_one_stream(form: Compression, step: int) -> None:
    blob = _small(form) * 3

    result = unpacked(blob, step)

    assert result == b"headway " * 27


@pytest.mark.parametrize("form", COMPRESSED)
@pytest.mark.parametrize("engine", ["isal", "zlib"])
def test_a_stream_cut_anywhere_is_truncated(form: Compression, engine: str) -> None:
    blob = _small(form)

    for cut in range(6, len(blob)):
        with pytest.raises(InvalidLayerError, match="truncated"):
            unpacked(blob[:cut], engine=engine)


@pytest.mark.parametrize("form", COMPRESSED)
@pytest.mark.parametrize("engine", ["isal", "zlib"])
def test_a_flipped_byte_in_the_data_is_an_invalid_layer(form: Compression, engine: str) -> None:
    blob = bytearray(ENCODED[form])
    blob[len(blob) // 2] ^= 0x55

    with pytest.raises(InvalidLayerError, match=f"(broken|truncated) {form}"):
        unpacked(bytes(blob), engine=engine)


@pytest.mark.parametrize("engine", ["isal", "zlib"])
@pytest.mark.parametrize("at", [-8, -1])
def test_a_wrong_gzip_trailer_is_an_invalid_layer(engine: str, at: int) -> None:
    blob = bytearray(ENCODED[Compression.GZIP])
    blob[at] ^= 1

    with pytest.raises(InvalidLayerError, match="broken gzip"):
        unpacked(bytes(blob), engine=engine)


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 5000, b"garbage", b"\x1e"])
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_what_follows_the_last_member_of_gzip_is_ignored(tail: bytes, step: int) -> None:
    blob = _small(Compression.GZIP) + tail

    result = unpacked(blob, step)

    assert result == b"headway " * 9


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 5000, b"garbage", b"B", b"BZ"])
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_what_follows_a_bzip2_stream_and_is_none_is_refused_as_by_the_engines(tail: bytes, step: int) -> None:
    with pytest.raises(InvalidLayerError, match=r"(broken|truncated) bzip2"):
        unpacked(_small(Compression.BZIP2) + tail, step)


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 3, b"\0" * 5001, b"\0" * 3 + lzma.compress(b"x")])
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_xz_padding_that_is_no_multiple_of_four_bytes_is_refused_as_by_xz(tail: bytes, step: int) -> None:
    with pytest.raises(InvalidLayerError, match=r"(broken|truncated) xz"):
        unpacked(_small(Compression.XZ) + tail, step)


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_zeros_between_xz_streams_and_behind_them_are_padding(step: int) -> None:
    blob = _small(Compression.XZ) + bytes(8) + _small(Compression.XZ) + bytes(5000)

    assert unpacked(blob, step) == b"headway " * 18
    with pytest.raises(InvalidLayerError, match="broken xz"):
        unpacked(blob + b"garbage" * 9, step)


def test_any_number_of_zeros_behind_an_xz_stream_takes_no_memory() -> None:
    subject = decompressor(Compression.XZ)
    list(subject.feed(_small(Compression.XZ)))
    zeros = bytes(1 << 18)

    tracemalloc.start()
    try:
        for _ in range(64):
            list(subject.feed(zeros))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    subject.finish()
    assert peak < 2 << 20


@pytest.mark.parametrize("flags", range(32))
@pytest.mark.parametrize("step", [1, 3, 1 << 20])
@pytest.mark.parametrize("engine", ["isal", "zlib"])
def test_every_optional_field_of_a_gzip_header_is_skipped(flags: int, step: int, engine: str) -> None:
    blob = gzip_member(flags) + gzip_member(31 - flags, b" again")

    result = unpacked(blob, step, engine=engine)

    assert result == b"hello again"


@pytest.mark.parametrize(
    "head", [b"\x1f\x8b\x07\0", b"\x1f\x8b\x08\xe0", b"\x1f\x8b\x08\x08" + b"\0" * 6 + b"n" * 70_000]
)
def test_a_gzip_header_that_no_program_writes_is_an_invalid_layer(head: bytes) -> None:
    with pytest.raises(InvalidLayerError, match="broken gzip"):
        unpacked(head.ljust(100, b"\0"))


@pytest.mark.parametrize("step", [1, 1 << 20])
def test_skippable_zstd_frames_are_skipped_in_front_between_and_behind(step: int) -> None:
    blob = SKIPPABLE + zstd.compress(b"one") + SKIPPABLE + SKIPPABLE + zstd.compress(b"two") + SKIPPABLE

    result = unpacked(blob, step)

    assert result == b"onetwo"


def test_garbage_behind_a_zstd_frame_is_an_invalid_layer() -> None:
    with pytest.raises(InvalidLayerError, match="not a frame"):
        unpacked(zstd.compress(b"one") + b"garbage")


@pytest.mark.parametrize("log", [10, 20, 23, 27])
def test_the_window_of_a_zstd_stream_is_told(log: int) -> None:
    encoder = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: log})
    blob = encoder.compress(b"x" * 10) + encoder.flush()
    told: list[int] = []
    subject = decompressor(Compression.ZSTD, reserve=told.append)

    result = b"".join(subject.feed(blob))

    assert (result, told) == (b"x" * 10, [1 << log])


@pytest.mark.parametrize("dictionary", [1 << 12, 3 << 20, 8 << 20, 64 << 20, 128 << 20])
@pytest.mark.parametrize("step", [1, 7, 1 << 18])
def test_the_dictionary_of_an_xz_stream_is_told_before_it_is_taken(dictionary: int, step: int) -> None:
    filters: list[Any] = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "dict_size": dictionary, "preset": 0}]
    blob = lzma.compress(b"x" * 10, filters=filters)
    told: list[int] = []

    result = b"".join(expand(Source(blob, step), lambda _: None, reserve=told.append))

    assert (result, told) == (b"x" * 10, [dictionary])


def test_padding_behind_an_xz_stream_needs_no_dictionary() -> None:
    told: list[int] = []
    blob = lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 64 << 20, "preset": 0}]) + bytes(8)

    assert b"".join(expand(Source(blob), lambda _: None, reserve=told.append)) == b"x"
    assert told == [64 << 20, 0]


def test_an_xz_dictionary_above_128_mib_is_refused_by_name() -> None:
    blob = lzma.compress(b"x" * 10, preset=0)
    at = blob.index(b"\x21\x01", 12) + 2
    head = blob[12:at] + bytes([33])  # 3 << 27
    head += blob[at + 1 : 12 + 4 * (blob[12] + 1) - 4]
    head += zlib.crc32(head).to_bytes(4, "little")

    with pytest.raises(InvalidLayerError, match=r"xz layer needs a window of 384 MiB .* at most 128 MiB"):
        unpacked(blob[:12] + head + blob[12 + len(head) :])


def test_what_is_refused_memory_is_not_expanded() -> None:
    def refuse(window: int) -> None:
        raise InvalidLayerError(f"no {window}")

    for form in (Compression.ZSTD, Compression.XZ):
        with pytest.raises(InvalidLayerError, match="no "):
            list(expand(Source(ENCODED[form]), lambda _: None, reserve=refuse))


def test_a_zstd_window_above_128_mib_is_refused_by_name() -> None:
    encoder = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 28})
    blob = encoder.compress(b"x" * 10) + encoder.flush()

    with pytest.raises(InvalidLayerError, match=r"window of 256 MiB .* at most 128 MiB"):
        unpacked(blob)


@pytest.mark.parametrize("size", [0, 5, 255, 256, 65_791, 65_792, 70_000])
def test_the_window_of_a_single_segment_is_its_content(size: int) -> None:
    head = zstd.compress(b"x" * size)

    frame = zstd_frame(head)

    assert frame is not None
    assert (frame.window, frame.content) == (size, size)


@pytest.mark.parametrize("size", [0, 5, 255, 256, 65_791, 65_792, 70_000])
def test_a_frame_says_its_content_where_it_has_a_window_too(size: int) -> None:
    encoder = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 10})
    encoder.set_pledged_input_size(size)
    head = encoder.compress(b"x" * size) + encoder.flush()

    frame = zstd_frame(head)

    assert frame is not None
    assert frame.content == size


@pytest.mark.parametrize("step", [1, 100, 1 << 20])
def test_a_zstd_frame_of_another_length_than_it_announces_is_refused(step: int) -> None:
    content = b"x" * 3080
    blocks = (len(content) << 3).to_bytes(3, "little") + content + (1).to_bytes(3, "little")  # the last one is empty
    frame = b"\x28\xb5\x2f\xfd\x60" + (3336 - 256).to_bytes(2, "little") + blocks

    with pytest.raises(InvalidLayerError, match="broken zstd stream"):
        unpacked(frame, step)


@pytest.mark.parametrize("step", [1, 100, 1 << 20])
def test_a_zstd_block_that_is_larger_than_its_window_is_refused(step: int) -> None:
    content = b"x" * 4000
    blocks = (len(content) << 3).to_bytes(3, "little") + content + (1).to_bytes(3, "little")
    frame = b"\x28\xb5\x2f\xfd\x80\x00" + len(content).to_bytes(4, "little") + blocks  # a window of 1 KiB

    with pytest.raises(InvalidLayerError, match="Data corruption detected"):
        unpacked(frame, step)


@pytest.mark.parametrize("step", [1, 513, 4096, 1 << 20])
@pytest.mark.parametrize("length", [65_536, 65_537, 70_000])
def test_a_name_of_a_gzip_member_has_the_same_limit_whatever_the_pieces(step: int, length: int) -> None:
    member = gzip_member(0)
    named = member[:3] + b"\x08" + member[4:10] + b"n" * length + b"\0" + member[10:]

    if length <= 65_536:
        assert unpacked(named, step) == b"hello"
    else:
        with pytest.raises(InvalidLayerError, match="a name in a member's header is too long"):
            unpacked(named, step)


@pytest.mark.parametrize("form", COMPRESSED)
@pytest.mark.parametrize("engine", ["isal", "zlib"])
def test_a_bomb_is_expanded_piece_by_piece(form: Compression, engine: str) -> None:
    size = 32 << 20
    blob = ENCODERS[form](bytes(size))

    tracemalloc.start()
    lengths = [len(piece) for piece in expand(Source(blob), lambda _: None, isal=engine == "isal")]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert sum(lengths) == size
    assert max(lengths) <= PIECE
    assert peak < 12 << 20


def test_an_empty_blob_is_an_empty_tar() -> None:
    assert unpacked(b"") == b""


def test_progress_counts_compressed_bytes_to_the_end() -> None:
    told: list[int] = []

    for _ in expand(Source(ENCODED[Compression.GZIP], 50_000), told.append):
        pass

    assert told[-1] == len(ENCODED[Compression.GZIP])
    assert told == sorted(told)
