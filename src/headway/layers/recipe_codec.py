"""How the parts of a recipe are compressed.

Rule 1: a part says which codec it has: a recipe that zlib wrote, where zstd was missing, can be read everywhere.
Rule 2: no more comes out than was announced.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from enum import IntEnum
from typing import Any

try:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
except ImportError:  # armv7 has no wheel
    HAS_ZSTD = False
else:
    HAS_ZSTD = True

_ZSTD_LEVEL = 1  # 3 takes no percent off columns
_WINDOW_LOG = 18  # what is alike is near; a compressor holds this much, and each layer that is unpacked has one


class Codec(IntEnum):
    """What a part is compressed with."""

    STORED = 0
    ZLIB = 1
    ZSTD = 2


def best_codec() -> Codec:
    """Return the best codec that this machine can write."""
    return Codec.ZSTD if HAS_ZSTD else Codec.ZLIB


def compressor(codec: Codec) -> Callable[[bytes], bytes]:
    """Return a function that compresses one part; not for two threads at once."""
    if codec == Codec.STORED:
        return bytes
    if codec == Codec.ZLIB:
        return zlib.compress
    parameters = zstd.CompressionParameter
    inner = zstd.ZstdCompressor(options={parameters.compression_level: _ZSTD_LEVEL, parameters.window_log: _WINDOW_LOG})
    return lambda data: inner.compress(data, mode=zstd.ZstdCompressor.FLUSH_FRAME)


def expanded(codec: int, data: bytes, length: int) -> bytes:
    """Return the `length` bytes of a part.

    Raises:
        ValueError: `data` is not that, or the codec is not known here.
    """
    found, is_whole = data, True
    if codec != Codec.STORED:
        name, inner, broken = _decoder(codec)
        try:
            found = inner.decompress(data, length + 1)
        except broken as error:
            raise ValueError(f"a part that {name} cannot read") from error
        is_whole = inner.eof and not inner.unused_data
    if not is_whole or len(found) != length:
        raise ValueError("a part that expands to another length")
    return found


def _decoder(codec: int) -> tuple[str, Any, type[Exception]]:
    """Return a library's name, what expands one part with it, and what it raises for a broken one."""
    if codec == Codec.ZLIB:
        return "zlib", zlib.decompressobj(), zlib.error
    if codec != Codec.ZSTD:
        raise ValueError(f"a part with the unknown codec {codec}")
    if not HAS_ZSTD:
        raise ValueError("a part that needs the Python package backports.zstd")
    inner = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})
    return "zstd", inner, zstd.ZstdError
