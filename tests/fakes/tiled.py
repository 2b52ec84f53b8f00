"""Images of any size that take no more memory than one piece of them: the same noise, mapped again and again.

Each layer is one file of noise. Its blob is gzip in many members (RFC 1952, section 2.2): one for each piece of the
file, padded in its header to whole pages, so that all of them can be the same memory. Linux only.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import tarfile  # noqa: TID251 - ordinary tars that another implementation wrote are what these tests want
import zlib
from collections.abc import Sequence
from typing import cast

from tests.fakes import images

PIECE = 64 << 20

_MAP_FIXED = 0x10
_MAGIC = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff"  # gzip, deflate, with an extra field, no time, no system
_C = ctypes.CDLL(None, use_errno=True)
_C.mmap.restype = ctypes.c_void_p
_C.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]


def tiled_image(sizes: Sequence[int], *, seed: int = 0) -> images.Image:
    """Return an image with a layer for each size in bytes, rounded up to whole pieces; it stays mapped for good."""
    noise = images.noise(PIECE, seed)
    plain, packed = _memory(noise), _memory(_member(noise))
    tars, blobs = [], []
    for number, size in enumerate(sizes):
        count = -(-size // PIECE)
        head, tail = _head(f"noise-{number}", count * PIECE), bytes(mmap.PAGESIZE)
        tars.append(_mapped([_memory(head), *[plain] * count, _memory(tail)]))
        blobs.append(_mapped([_memory(_member(head)), *[packed] * count, _memory(_member(tail))]))
    return images.image(tars, blobs=blobs)


def _head(name: str, size: int) -> bytes:
    """Return a page of a tar: directories as many as it takes, and the header of the file that follows."""
    members = [tarfile.TarInfo(f"{name}.{each}") for each in range(mmap.PAGESIZE // tarfile.BLOCKSIZE)]
    for member in members[:-1]:
        member.type, member.mode = tarfile.DIRTYPE, 0o755
    members[-1].size = size
    return b"".join(member.tobuf(tarfile.USTAR_FORMAT) for member in members)


def _member(data: bytes) -> bytes:
    """Return data as a gzip member whose length is a number of whole pages."""
    squeeze = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = squeeze.compress(data) + squeeze.flush() + struct.pack("<II", zlib.crc32(data), len(data))
    field = -(len(_MAGIC) + 2 + 4 + len(body)) % mmap.PAGESIZE
    return _MAGIC + struct.pack("<H2sH", field + 4, b"pd", field) + bytes(field) + body


def _memory(data: bytes) -> tuple[int, int]:
    """Put data where it can be mapped from; return the descriptor and the length."""
    descriptor = os.memfd_create("tile")
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    return descriptor, len(data)


def _mapped(parts: Sequence[tuple[int, int]]) -> bytes:
    """Map parts one behind the other; what is returned can be hashed, sliced and sent, as bytes can."""
    total = sum(length for _, length in parts)
    at = begin = _map(None, total, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)
    for descriptor, length in parts:
        at = _map(at, length, mmap.MAP_SHARED | _MAP_FIXED, descriptor) + length
    return cast("bytes", memoryview((ctypes.c_ubyte * total).from_address(begin)))


def _map(at: int | None, length: int, flags: int, descriptor: int) -> int:
    address: int = _C.mmap(at, length, mmap.PROT_READ, flags, descriptor, 0)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap")
    return address
