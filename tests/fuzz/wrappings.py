"""Compressed forms of an archive, right ones and wrong ones, made from a random generator."""

from __future__ import annotations

import bz2
import lzma
import random
import sys
import zlib

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from tests.fuzz.inputs import archive

_FLAGS = {"text": 1, "crc": 2, "extra": 4, "name": 8, "comment": 16}
_GARBAGE = (
    b"",
    b"",
    b"\0",
    b"\0" * 4,
    b"\0" * 600,
    b"garbage",
    b"\x1f",
    b"\x1f\x8b",
    b"\x28\xb5\x2f",
    b"BZh",
    b"\xfd7zXZ\0",
)


def blob(rng: random.Random) -> bytes:
    """Return a layer's blob."""
    data = archive(rng)
    wrap = rng.choice((_plain, _plain, _plain, _gzip, _gzip, _zstd, _zstd, _zstd_by_hand, _xz, _bzip2, _mixed, _bomb))
    whole = wrap(rng, data)
    if wrap is _plain or rng.random() < 0.7:
        return whole
    return _damaged(rng, whole)


def _damaged(rng: random.Random, data: bytes) -> bytes:
    match rng.randrange(4):
        case 0:
            return data[: rng.randrange(len(data) + 1)]
        case 1:  # the headers of a format are at its start
            at = rng.randrange(min(len(data), 40) or 1)
            return data[:at] + rng.randbytes(1) + data[at + 1 :]
        case 2:
            at, length = rng.randrange(len(data) + 1), rng.choice((1, 4, 100))
            return data[:at] + rng.choice((b"", rng.randbytes(length))) + data[at + length :]
        case _:
            return data + rng.choice(_GARBAGE) + rng.choice((b"", data))


def _pieces(rng: random.Random, data: bytes) -> list[bytes]:
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 0, 1, 3, 12))))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def _plain(_: random.Random, data: bytes) -> bytes:
    return data


def _gzip(rng: random.Random, data: bytes) -> bytes:
    members = b"".join(_gzip_member(rng, piece) for piece in _pieces(rng, data))
    return members + rng.choice(_GARBAGE)


def _gzip_member(rng: random.Random, data: bytes) -> bytes:
    flags = rng.choice((0, 0, 8, rng.randrange(32), rng.randrange(256) if rng.random() < 0.1 else 0))
    head = b"\x1f\x8b\x08" + bytes((flags,)) + rng.randbytes(6)
    if flags & _FLAGS["extra"]:
        extra = rng.randbytes(rng.choice((0, 1, 22, 300, 65535)))
        head += len(extra).to_bytes(2, "little") + extra
    for name in ("name", "comment"):
        if flags & _FLAGS[name]:
            head += rng.choice((b"", b"layer.tar", b"n" * 5000, b"n" * rng.choice((60_000, 70_000)))) + b"\0" * (
                rng.random() < 0.97
            )
    if flags & _FLAGS["crc"]:
        head += (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little")
    engine = zlib.compressobj(rng.choice((0, 1, 9)), zlib.DEFLATED, -15)
    body = engine.compress(data) + engine.flush()
    crc = zlib.crc32(data) ^ (rng.random() < 0.02)
    return head + body + crc.to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")


def _zstd(rng: random.Random, data: bytes) -> bytes:
    frames = []
    for piece in _pieces(rng, data):
        options: dict[int, int] = {
            zstd.CompressionParameter.compression_level: rng.choice((1, 3)),
            zstd.CompressionParameter.checksum_flag: rng.randrange(2),
            zstd.CompressionParameter.content_size_flag: rng.randrange(2),
            zstd.CompressionParameter.window_log: rng.choice((10, 17, 20, 23)),
        }
        frames.append(zstd.compress(piece, options=options))
        if rng.random() < 0.3:
            frames.insert(rng.randrange(len(frames)), _skippable(rng))
    return b"".join(frames) + (b"" if rng.random() < 0.8 else rng.choice(_GARBAGE))


def _skippable(rng: random.Random) -> bytes:
    data = rng.randbytes(rng.choice((0, 1, 40, 3000)))
    size = len(data) if rng.random() < 0.9 else rng.choice((1, 1 << 20, (1 << 32) - 1))
    return bytes((0x50 | rng.randrange(16),)) + b"\x2a\x4d\x18" + size.to_bytes(4, "little") + data


def _zstd_by_hand(rng: random.Random, data: bytes) -> bytes:
    """Return a frame of raw and repeated blocks, whose header says what it likes (RFC 8878, 3.1.1)."""
    flags = rng.choice((0, 0, 0x20, 0x04, 0x24, 0x40, 0x60, 0x80, 0xA0, 0xC0, 0xE0, rng.randrange(256)))
    head = b"\x28\xb5\x2f\xfd" + bytes((flags,))
    if not flags & 0x20:
        head += bytes((rng.choice((0x38, 0x50, 0x58, 0, 8, 0x38, 0x50, 0x58, 0x60, 0x88, 0x89, 0x90, 0xF8, 0xFF)),))
    head += bytes((0, 1, 2, 4)[flags & 3])
    width = (1 if flags & 0x20 else 0, 2, 4, 8)[flags >> 6]
    size = rng.choice((len(data), len(data) - 256, 0, 1 << 27, (1 << 27) + 1, 1 << 40)) % (1 << 8 * width or 1)
    head += size.to_bytes(width, "little")
    blocks = [_zstd_block(0, len(piece), piece) for piece in (data[at : at + 4000] for at in range(0, len(data), 4000))]
    if rng.random() < 0.3:
        repeated = _zstd_block(1, rng.choice((1, 512, 131_072, 2_000_000)), bytes(1))
        blocks += [repeated] * rng.choice((1, 2, 60))
    last = rng.choice(((1).to_bytes(3, "little"), (1).to_bytes(3, "little"), b"\7\0\0", b""))
    return head + b"".join(blocks) + last


def _zstd_block(kind: int, size: int, data: bytes) -> bytes:
    return (size << 3 | kind << 1).to_bytes(3, "little") + data


def _xz(rng: random.Random, data: bytes) -> bytes:
    checks = (lzma.CHECK_CRC64, lzma.CHECK_NONE, lzma.CHECK_CRC32, lzma.CHECK_SHA256)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": rng.choice((4096, 1 << 16, 1 << 20))}]
    streams = []
    for piece in _pieces(rng, data):
        streams.append(lzma.compress(piece, check=rng.choice(checks), filters=filters))
        streams.append(bytes(rng.choice((0, 0, 4, 8, 3))))
    return b"".join(streams)


def _bzip2(rng: random.Random, data: bytes) -> bytes:
    return b"".join(bz2.compress(piece, 1) for piece in _pieces(rng, data)) + rng.choice(_GARBAGE)


def _mixed(rng: random.Random, data: bytes) -> bytes:
    """Return a stream that changes its format on the way."""
    forms = (_plain, _gzip, _zstd, _xz, _bzip2)
    return b"".join(rng.choice(forms)(rng, piece) for piece in _pieces(rng, data))


def _bomb(rng: random.Random, data: bytes) -> bytes:
    """Return little that becomes much: zeros behind the end, or one file of them."""
    head = data if rng.random() < 0.5 else b""
    return rng.choice((_gzip, _zstd, _bzip2))(rng, head + bytes(rng.choice((1 << 20, 6 << 20))))
