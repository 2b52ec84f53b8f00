"""Deflates one block of a layer, so that what follows it can be deflated at the same time.

Rule 1: what a block becomes depends on its own bytes and on the window before them alone: not on how many are on
        their way, nor on which is done first. It ends at a whole byte, where the next one follows (RFC 1951, 3.2.4).
Rule 2: only this module knows which libraries do it (docs/adr/0025-zlib-ng-for-pushes.md).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final, TypeAlias

BLOCK: Final = 1 << 18
"""Length of a block, in bytes: one of a mebibyte gives as many bytes, and needs four times the memory."""

WINDOW: Final = 1 << 15
"""How far deflate looks back (RFC 1951, 2), in bytes."""

END: Final = b"\x03\x00"
"""An empty last block, which ends a stream."""

_RAW: Final = -zlib.MAX_WBITS
_ZLIB_LEVEL: Final = 6
_ZLIB_MEMORY: Final = 8
_ZLIB_NG_LEVEL: Final = 5
_ZLIB_NG_MEMORY: Final = 7
"""Twice as many Huffman tables as with 8: 0.3 % fewer bytes, for 5 % more CPU."""

_ISAL_LEVEL: Final = 1
"""Of noise, higher ones make no fewer bytes."""

_SAMPLE: Final = 1 << 12
_SAMPLE_EVERY: Final = 1 << 15
"""Noise takes twice the time of files, for nothing; the first sample tells most blocks of files, for 1 % of theirs."""


Deflate: TypeAlias = Callable[[bytes, bytes], bytes]
"""Returns a block in deflated form, without an end of the stream: takes it, and the `WINDOW` bytes before it, or all
there are."""


def deflate() -> Deflate:
    """Return what deflates here: zlib-ng and isal, or zlib where one is not installed; they give different bytes."""
    try:
        from isal import isal_zlib  # noqa: F401, PLC0415 (not on every machine, and only for those who push)
        from zlib_ng import zlib_ng  # noqa: F401, PLC0415
    except ImportError:
        return with_zlib
    return with_zlib_ng


def with_zlib_ng(block: bytes, window: bytes) -> bytes:
    """Deflate with zlib-ng, and noise with isal, which takes a quarter of the time and makes no more bytes of it.

    This is a `Deflate`.
    """
    from isal import isal_zlib  # noqa: PLC0415 (see `deflate`)
    from zlib_ng import zlib_ng  # noqa: PLC0415

    if _is_noise(block, lambda sample: zlib_ng.compress(sample, 1, _RAW)):
        noise = isal_zlib.compressobj(_ISAL_LEVEL, isal_zlib.DEFLATED, _RAW)
        return noise.compress(block) + noise.flush(isal_zlib.Z_SYNC_FLUSH)
    primed = (window,) if window else ()
    engine = zlib_ng.compressobj(_ZLIB_NG_LEVEL, zlib.DEFLATED, _RAW, _ZLIB_NG_MEMORY, zlib.Z_DEFAULT_STRATEGY, *primed)
    return engine.compress(block) + engine.flush(zlib.Z_SYNC_FLUSH)


def with_zlib(block: bytes, window: bytes) -> bytes:
    """Deflate with zlib, which looks for nothing but runs in noise; this is a `Deflate`."""
    is_noise = _is_noise(block, lambda sample: zlib.compress(sample, 1, _RAW))
    strategy = zlib.Z_RLE if is_noise else zlib.Z_DEFAULT_STRATEGY
    primed = (window,) if window else ()
    engine = zlib.compressobj(_ZLIB_LEVEL, zlib.DEFLATED, _RAW, _ZLIB_MEMORY, strategy, *primed)
    return engine.compress(block) + engine.flush(zlib.Z_SYNC_FLUSH)


def _is_noise(block: bytes, quickly: Callable[[bytes], bytes]) -> bool:
    """Tell whether little repeats in a block: whether its samples only grow, as a model's or an archive's do."""
    samples = (block[at : at + _SAMPLE] for at in range(0, len(block), _SAMPLE_EVERY))
    return all(len(quickly(sample)) > len(sample) for sample in samples)
