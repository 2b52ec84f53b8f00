"""Compresses layers for registries.

Rule: no time, no name and no system in the header, one level, one library: the same tar gives the same blob, so that a
push that is begun again finds what it sent before. zlib and not isal, which is quicker and leaves a tenth more to send.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable

from headway.interfaces.packing import Packed
from headway.oci.digest import Digest

LEVEL = 6
_GZIP = 16 + zlib.MAX_WBITS


def pack_gzip(tar: Iterable[bytes], write: Callable[[bytes], None]) -> Packed:
    """Compress a tar; this is an `interfaces.packing.Packer`."""
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)
    whole = hashlib.sha256()
    size = 0

    def hand_over(data: bytes) -> None:
        nonlocal size
        if data:
            whole.update(data)
            size += len(data)
            write(data)

    for piece in tar:
        hand_over(compressor.compress(piece))
    hand_over(compressor.flush())
    return Packed(Digest(f"sha256:{whole.hexdigest()}"), size)
