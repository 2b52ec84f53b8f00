"""Compresses layers for registries with gzip, in blocks that several threads work on.

Rule 1: the same tar always gives the same blob, so that a push that is repeated finds what it sent before: the header
        has no time, name or system, there is one level and one library, and blocks do not depend on threads.
Rule 2: a blob is a single member (RFC 1952), which every reader of gzip reads to its end.
Rule 3: a layer has at most `IN_FLIGHT` more blocks in flight than there are threads. All layers share the threads,
        block by block, so that none waits for another to end.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from headway.crc32 import crc32
from headway.interfaces.packing import Packed
from headway.layers.compression.deflating import BLOCK, END, WINDOW, Deflate, deflate
from headway.oci.digest import Digest

IN_FLIGHT: Final = 1
_HEADER: Final = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3])


class GzipPacker:
    """Packs tars with gzip, several at once; implements `interfaces.packing.Packer`.

    Args:
        threads: How many threads deflate, for all tars together.
        engine: The function that deflates; None for the best that is installed.
    """

    def __init__(self, threads: int, engine: Deflate | None = None) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "deflate")
        self._engine = engine

    def __call__(self, tar: Iterable[bytes], write: Callable[[bytes], None]) -> Packed:
        """See `interfaces.packing.Packer`."""
        whole = hashlib.sha256()
        size = 0
        for piece in self._member(tar):
            whole.update(piece)
            size += len(piece)
            write(piece)
        return Packed(Digest(f"sha256:{whole.hexdigest()}"), size)

    def close(self) -> None:
        """End the threads; a tar that is being packed raises `CancelledError`."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _member(self, tar: Iterable[bytes]) -> Iterator[bytes]:
        engine = self._engine or deflate()
        under_way: deque[Future[bytes]] = deque()
        crc = size = 0
        window = b""
        yield _HEADER
        try:
            for block in in_blocks(tar):
                under_way.append(self._pool.submit(engine, block, window))
                crc, size, window = crc32(block, crc), size + len(block), block[-WINDOW:]
                if len(under_way) >= self._threads + IN_FLIGHT:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
        yield END + crc.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


def in_blocks(tar: Iterable[bytes], size: int = BLOCK) -> Iterator[bytes]:
    """Yield the bytes of pieces of any length in blocks of `size` bytes; the last one may be shorter, but not empty."""
    gathered = bytearray()
    for piece in tar:
        gathered += piece
        at = 0
        while len(gathered) - at >= size:
            yield bytes(memoryview(gathered)[at : at + size])
            at += size
        del gathered[:at]
    if gathered:
        yield bytes(gathered)
