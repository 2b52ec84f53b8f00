"""Compresses and decompresses the parts of a recipe.

Rule 1: a part names its codec, so that a recipe written with zlib, where zstd was missing, can be read everywhere.
Rule 2: decompression stops at the announced length.
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

_ZSTD_LEVEL = 1  # level 3 makes columns less than 1 % smaller
_WINDOW_LOG = 18  # similar values are close together; every layer that is being unpacked has a window of this size


class Codec(IntEnum):
    """The codecs of parts."""

    STORED = 0
    ZLIB = 1
    ZSTD = 2


def best_codec() -> Codec:
    """Return the best codec for which this machine has a library."""
    return Codec.ZSTD if HAS_ZSTD else Codec.ZLIB


def compressor(codec: Codec) -> Callable[[bytes], bytes]:
    """Return a function that compresses a part; it must not be used by two threads at once."""
    if codec == Codec.STORED:
        return bytes
    if codec == Codec.ZLIB:
        return zlib.compress
    parameters = zstd.CompressionParameter
    inner = zstd.ZstdCompressor(options={parameters.compression_level: _ZSTD_LEVEL, parameters.window_log: _WINDOW_LOG})
    return lambda data: inner.compress(data, mode=zstd.ZstdCompressor.FLUSH_FRAME)


def expanded(codec: int, data: bytes, length: int) -> bytes:
    """Decompress a part of `length` bytes.

    Raises:
        ValueError: `data` is not such a part, or the codec is unknown or has no library here.
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
