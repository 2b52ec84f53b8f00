"""From a layer's blob bytes to the bytes of its tar.

Rule 1: the format is told by the first bytes, never by a media type: registries and builders get it wrong.
Rule 2: whatever the input expands to, no more than one piece of it (256 KiB) is in memory at a time.
Rule 3: a stream that does not end as its format says is an error, even where all data seems to be there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from enum import StrEnum
from typing import NoReturn

from headway.errors import InvalidLayerError
from headway.interfaces.files import TarSource
from headway.layers.decoders import Bzip2, Decoder, Format, Gzip, Part, Swallower, Xz, Zstd
from headway.layers.stream_headers import GZIP_MAGIC, XZ_MAGIC, is_zstd
from headway.layers.windows import Reserve, free

PIECE = 1 << 18
"""Longest piece that is given out, in bytes: pieces of a mebibyte take no less CPU, and 6 MB more for each layer."""

READ = 1 << 18
"""How much is asked of a source at once, in bytes."""

STRIDE = 1 << 18
"""How much is fed to a decoder at once. What lies behind a member is copied when it ends, so each member starts
with less: a layer of tiny ones would else cost the square of its length."""

FIRST_STRIDE = 1 << 12
"""How much is fed first after a member has ended; it doubles from there."""

HEAD = 512
"""How many bytes `detect` looks at."""


class Compression(StrEnum):
    """How a layer's blob is compressed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    XZ = "xz"
    BZIP2 = "bzip2"


def detect(head: bytes) -> Compression:
    """Return the format of a stream that starts with `head`: its first `HEAD` bytes, or all of it.

    A tar begins with a name, which may be any format's magic: ``BZhang``. Its header says what it is.
    """
    if head[257:262] == b"ustar":
        return Compression.NONE
    if head.startswith(GZIP_MAGIC):
        return Compression.GZIP
    if is_zstd(head):
        return Compression.ZSTD
    if head.startswith(XZ_MAGIC):
        return Compression.XZ
    return Compression.BZIP2 if head.startswith(b"BZh") else Compression.NONE


def expand(
    source: TarSource, progress: Callable[[int], None], *, isal: bool = True, reserve: Reserve = free
) -> Generator[bytes, None, None]:
    """Yield the tar bytes of a blob, in pieces of at most `PIECE` bytes; all of `source` is read.

    Args:
        source: The blob.
        progress: Is told how many bytes of the blob have been read, in the thread that iterates.
        isal: Whether gzip is expanded by isal where it is installed; it takes half the time of zlib.
        reserve: Told what a part of the stream will take to look back on, before it takes that.

    Raises:
        InvalidLayerError: The stream is broken or incomplete.
        UnsupportedError: The library for its format is not installed.
    """
    data = source.read(READ)
    while 0 < len(data) < HEAD and (more := source.read(READ)):
        data += more
    engine = decompressor(detect(data), isal=isal, reserve=reserve)
    consumed = 0
    while data:
        yield from engine.feed(data)
        consumed += len(data)
        progress(consumed)
        data = source.read(READ)
    engine.finish()


def decompressor(compression: Compression, *, isal: bool = True, reserve: Reserve = free) -> _Plain | _Members:
    """Return what expands one stream, fed in pieces of any length by one thread at a time; as `expand`."""
    match compression:
        case Compression.NONE:
            return _Plain()
        case Compression.GZIP:
            return _Members(Gzip(isal=isal), reserve)
        case Compression.ZSTD:
            return _Members(Zstd(), reserve)
        case Compression.XZ:
            return _Members(Xz(), reserve)
        case Compression.BZIP2:
            return _Members(Bzip2(), reserve)


class _Plain:
    """What is not compressed."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield `data` in pieces of at most `PIECE` bytes."""
        for at in range(0, len(data), PIECE):
            yield data[at : at + PIECE]

    def finish(self) -> None:
        """Do nothing: the tar reader knows whether this was the end."""


class _Members:
    """A chain of members (gzip), frames (zstd) or streams (xz, bzip2)."""

    def __init__(self, form: Format, reserve: Reserve) -> None:
        self._format = form
        self._reserve = reserve
        self._part: Part | None = None
        self._head = b""
        self._consumed = 0
        self._given = 0  # of what the part expands to
        self._stride = STRIDE

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` expands to, in pieces of at most `PIECE` bytes; the iterator must be used up.

        Raises:
            InvalidLayerError: The stream is broken.
        """
        at = 0
        while at < len(data):
            stride = data[at : at + self._stride]
            at += len(stride)
            self._stride = min(2 * self._stride, STRIDE)
            yield from self._feed(stride)
            self._consumed += len(stride)

    def _feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            part = self._part
            if part is None:
                self._head += data
                opened = self._format.open(self._head)
                if opened is None:
                    return
                part, (*first, data) = opened
                self._part = part
                self._head = b""
                self._given = 0
                self._reserve(part.window_bytes)
                for piece in first:
                    yield from self._drain(part.decoder, piece)
            yield from self._drain(part.decoder, data)
            if not part.decoder.eof:
                return
            if part.content_bytes not in (None, self._given):
                self._refuse(f"a part of {self._given} bytes announced {part.content_bytes}")
            data = part.decoder.unused_data
            self._part = None
            self._stride = FIRST_STRIDE

    def _drain(self, decoder: Decoder, data: bytes) -> Iterator[bytes]:
        try:
            piece = decoder.decompress(data, PIECE)
            while piece:
                self._given += len(piece)
                yield piece
                if decoder.eof or decoder.needs_input:
                    return
                piece = decoder.decompress(b"", PIECE)
        except self._format.errors as error:
            # bzip2 reports with OSError: what the consumer of a piece raises does not come this way.
            self._refuse(str(error), error)

    def finish(self) -> None:
        """Say that no more comes.

        Raises:
            InvalidLayerError: The stream is incomplete.
        """
        decoder = None if self._part is None else self._part.decoder
        is_whole = not self._head if decoder is None else isinstance(decoder, Swallower) and decoder.is_whole
        if not is_whole:
            raise InvalidLayerError(f"truncated {self._format.name} stream: it ends after {self._consumed} bytes")

    def _refuse(self, reason: str, cause: Exception | None = None) -> NoReturn:
        raise InvalidLayerError(f"broken {self._format.name} stream near byte {self._consumed}: {reason}") from cause
