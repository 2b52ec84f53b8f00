"""Deflates one block of a layer, independently of the next one, so that several blocks are deflated at once.

Rule 1: the output depends on the bytes of the block and of the window before it alone, not on how many blocks are in
        flight or which is done first. It ends at a byte boundary, where the next one follows (RFC 1951, 3.2.4).
Rule 2: only this module knows the libraries that do it (docs/adr/0025-zlib-ng-for-pushes.md).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final, TypeAlias

BLOCK: Final = 1 << 18
"""Length of a block, in bytes: blocks of a mebibyte compress no better, and need four times the memory."""

WINDOW: Final = 1 << 15
"""How far deflate looks back (RFC 1951, 2), in bytes."""

END: Final = b"\x03\x00"
"""An empty last block, which ends a stream."""

_RAW: Final = -zlib.MAX_WBITS
_ZLIB_LEVEL: Final = 6
_ZLIB_MEMORY: Final = 8
_ZLIB_NG_LEVEL: Final = 5
_ZLIB_NG_MEMORY: Final = 7
"""Twice as many Huffman tables as with 8: output 0.3 % smaller, for 5 % more CPU."""

_ISAL_LEVEL: Final = 1
"""Higher levels do not make noise smaller."""

_SAMPLE: Final = 1 << 12
_SAMPLE_EVERY: Final = 1 << 15
"""Compressing noise takes twice the time of other files and gains nothing. For most other blocks the first sample shows
that they are not noise, at 1 % of their time."""


Deflate: TypeAlias = Callable[[bytes, bytes], bytes]
"""Takes a block, and up to `WINDOW` bytes before it; returns it deflated, without the end of the stream."""


def deflate() -> Deflate:
    """Return the best function that is installed: with zlib-ng and isal, or with zlib. Their outputs differ."""
    try:
        from isal import isal_zlib  # noqa: F401, PLC0415 (not on every machine, and only for those who push)
        from zlib_ng import zlib_ng  # noqa: F401, PLC0415
    except ImportError:
        return with_zlib
    return with_zlib_ng


def with_zlib_ng(block: bytes, window: bytes) -> bytes:
    """Deflate with zlib-ng, or noise with isal, which takes a quarter of the time for the same size. A `Deflate`."""
    from isal import isal_zlib  # noqa: PLC0415 (see `deflate`)
    from zlib_ng import zlib_ng  # noqa: PLC0415

    if _is_noise(block, lambda sample: zlib_ng.compress(sample, 1, _RAW)):
        noise = isal_zlib.compressobj(_ISAL_LEVEL, isal_zlib.DEFLATED, _RAW)
        return noise.compress(block) + noise.flush(isal_zlib.Z_SYNC_FLUSH)
    primed = (window,) if window else ()
    engine = zlib_ng.compressobj(_ZLIB_NG_LEVEL, zlib.DEFLATED, _RAW, _ZLIB_NG_MEMORY, zlib.Z_DEFAULT_STRATEGY, *primed)
    return engine.compress(block) + engine.flush(zlib.Z_SYNC_FLUSH)


def with_zlib(block: bytes, window: bytes) -> bytes:
    """Deflate with zlib, which in noise looks for runs only. A `Deflate`."""
    is_noise = _is_noise(block, lambda sample: zlib.compress(sample, 1, _RAW))
    strategy = zlib.Z_RLE if is_noise else zlib.Z_DEFAULT_STRATEGY
    primed = (window,) if window else ()
    engine = zlib.compressobj(_ZLIB_LEVEL, zlib.DEFLATED, _RAW, _ZLIB_MEMORY, strategy, *primed)
    return engine.compress(block) + engine.flush(zlib.Z_SYNC_FLUSH)


def _is_noise(block: bytes, quickly: Callable[[bytes], bytes]) -> bool:
    """Tell whether samples of a block grow when compressed, as those of archives and of trained models do."""
    samples = (block[at : at + _SAMPLE] for at in range(0, len(block), _SAMPLE_EVERY))
    return all(len(quickly(sample)) > len(sample) for sample in samples)
