"""Reads the headers of gzip members, zstd frames and xz streams.

Rule: pure functions over a prefix; None means that it is too short to tell.

isal parses gzip headers too, but loses its place when one with several optional fields comes in pieces.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from headway.errors import InvalidLayerError

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
XZ_MAGIC = b"\xfd7zXZ\0"

_XZ_HEADER = 12  # of a stream; the first block's follows
_XZ_LZMA2 = 0x21

_HCRC, _EXTRA, _NAME, _COMMENT = 2, 4, 8, 16
_FIELD_LIMIT = 1 << 16


def is_zstd(head: bytes) -> bool:
    """Tell whether `head` starts a zstd frame or a skippable one (RFC 8878, 3.1), as zstd:chunked has."""
    return head.startswith(ZSTD_MAGIC) or is_skippable(head)


def is_skippable(head: bytes) -> bool:
    """Tell whether `head` starts a skippable zstd frame (RFC 8878, 3.1.2)."""
    return head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50


def gzip_header_size(head: bytes) -> int | None:
    """Return the length of the gzip header (RFC 1952, 2.3) that `head` starts with, in bytes.

    Raises:
        InvalidLayerError: It is not a header, or one that no gzip program writes.
    """
    if len(head) < 10:
        return None
    flags = head[3]
    if not head.startswith(GZIP_MAGIC + b"\x08") or flags & 0xE0:
        raise InvalidLayerError("broken gzip stream: the header of a member is not valid")
    end = 12 + int.from_bytes(head[10:12], "little") if flags & _EXTRA else 10
    for _ in range(bool(flags & _NAME) + bool(flags & _COMMENT)):
        end = _after_text(head, end)
    if flags & _HCRC:
        end += 2
    if len(head) < end:
        return None
    if flags & _HCRC and zlib.crc32(head[: end - 2]) & 0xFFFF != int.from_bytes(head[end - 2 : end], "little"):
        raise InvalidLayerError("broken gzip stream: wrong checksum of a member's header")
    return end


def _after_text(head: bytes, start: int) -> int:
    """Return the offset after the NUL-terminated text at `start`; beyond `head` if it has no NUL."""
    end = head.find(b"\0", start)
    if (end if end >= 0 else len(head)) - start > _FIELD_LIMIT:
        raise InvalidLayerError("broken gzip stream: a name in a member's header is too long")
    return end + 1 if end >= 0 else max(len(head), start) + 1


class ZstdFrame(NamedTuple):
    """The fields of a zstd frame's header.

    Attributes:
        window: How far the decoder may have to look back, in bytes; 0 for a skippable frame.
        content: Length of the expanded content, in bytes; None if the header does not say.
        header: Length of the header itself, in bytes.
    """

    window: int
    content: int | None
    header: int


def zstd_frame(head: bytes) -> ZstdFrame | None:
    """Return what a zstd frame's header says (RFC 8878, 3.1.1.1).

    Raises:
        InvalidLayerError: `head` does not start a frame.
    """
    if len(head) < 4:
        return None
    if is_skippable(head):
        return ZstdFrame(0, 0, 4)
    if not head.startswith(ZSTD_MAGIC):
        raise InvalidLayerError("broken zstd stream: what follows a frame is not a frame")
    if len(head) < 6:
        return None
    is_single = bool(head[4] & 0x20)
    # Behind the window's descriptor, which a single segment does without, come the dictionary's ID and the size.
    at = (5 if is_single else 6) + (0, 1, 2, 4)[head[4] & 3]
    width = (1 if is_single else 0, 2, 4, 8)[head[4] >> 6]
    if len(head) < at + width:
        return None
    size = int.from_bytes(head[at : at + width], "little") + (256 if width == 2 else 0)
    if is_single:
        return ZstdFrame(size, size, at + width)
    exponent, mantissa = head[5] >> 3, head[5] & 7
    return ZstdFrame((1 << (10 + exponent)) * (8 + mantissa) // 8, size if width else None, at + width)


def xz_dictionary(head: bytes) -> int | None:
    """Return the size of the dictionary for the first block of an xz stream (xz file format 3.1, 5.3.1), in bytes.

    It is 0 if there is no stream or no block, or if it cannot be read: liblzma reports those errors.
    """
    if not head.startswith(XZ_MAGIC[: len(head)]):
        return 0
    if len(head) <= _XZ_HEADER:
        return None
    end = _XZ_HEADER + 4 * (head[_XZ_HEADER] + 1)
    if not head[_XZ_HEADER]:
        return 0  # the index: there is no block
    if len(head) < end:
        return None
    flags, at = head[_XZ_HEADER + 1], _XZ_HEADER + 2
    for _ in range(bool(flags & 0x40) + bool(flags & 0x80)):  # lengths of the block
        _, at = _xz_number(head, at, end)
    for _ in range((flags & 3) + 1):
        kind, at = _xz_number(head, at, end)
        length, at = _xz_number(head, at, end)
        if kind == _XZ_LZMA2 and length == 1 and at < end:
            bits = head[at] & 0x3F
            return (2 | bits & 1) << (bits // 2 + 11)
        at += length
    return 0


def _xz_number(head: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a number of variable length (1.2), and where it ends; 0 where it does not end in time."""
    value = 0
    for shift, byte in enumerate(head[at : min(end, at + 9)]):
        value |= (byte & 0x7F) << (7 * shift)
        if not byte & 0x80:
            return value, at + shift + 1
    return 0, end
