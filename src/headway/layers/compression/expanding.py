"""Decompresses a layer's blob into its tar.

Rule 1: the format is detected from the first bytes, never from the media type, which registries and builders get wrong.
Rule 2: however large the output is, at most one piece of it (256 KiB) is in memory at a time.
Rule 3: a stream that does not end as its format demands is an error, even if all data seems to be there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from enum import StrEnum
from typing import NoReturn

from headway.errors import InvalidLayerError
from headway.interfaces.files import TarSource
from headway.layers.compression.decoders import Bzip2, Decoder, Format, Gzip, Part, Swallower, Xz, Zstd
from headway.layers.compression.stream_headers import GZIP_MAGIC, XZ_MAGIC, is_zstd
from headway.layers.compression.windows import Reserve, free

PIECE = 1 << 18
"""Longest piece of output, in bytes: pieces of a mebibyte save no CPU, and take 6 MB more for each layer."""

READ = 1 << 18
"""Bytes that are read from a source at once."""

STRIDE = 1 << 18
"""Bytes that are fed to a decoder at once. When a member ends, the input behind it is copied; so the first strides of a
member are short, or a layer of many tiny members would cost the square of its length."""

FIRST_STRIDE = 1 << 12
"""Bytes that are fed first after a member has ended; doubled with each further stride."""

HEAD = 512
"""Bytes that `detect` needs."""


class Compression(StrEnum):
    """How a layer's blob is compressed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    XZ = "xz"
    BZIP2 = "bzip2"


def detect(head: bytes) -> Compression:
    """Return the format of a stream that starts with `head`: its first `HEAD` bytes, or all of it.

    A tar begins with a file name, which may look like the magic of another format (``BZhang``), so it is ruled out
    first, by its header.
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
        progress: Called with the number of bytes of the blob read so far, in the thread that iterates.
        isal: Whether to decompress gzip with isal where it is installed; it takes half the time of zlib.
        reserve: Called with the size of a decompression window, in bytes, before it is allocated.

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
    """Return a decompressor of one stream, to be fed by one thread at a time; arguments as for `expand`."""
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
    """A stream that is not compressed."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield `data` in pieces of at most `PIECE` bytes."""
        for at in range(0, len(data), PIECE):
            yield data[at : at + PIECE]

    def finish(self) -> None:
        """Do nothing: the tar reader notices a missing end."""


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
        """Yield the output of `data`, in pieces of at most `PIECE` bytes; the iterator must be exhausted.

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
            # bzip2 raises OSError for broken data. An OSError of whoever takes the pieces is not raised in here.
            self._refuse(str(error), error)

    def finish(self) -> None:
        """Check that the stream is complete; to be called after the last `feed`.

        Raises:
            InvalidLayerError: The stream is incomplete.
        """
        decoder = None if self._part is None else self._part.decoder
        is_whole = not self._head if decoder is None else isinstance(decoder, Swallower) and decoder.is_whole
        if not is_whole:
            raise InvalidLayerError(f"truncated {self._format.name} stream: it ends after {self._consumed} bytes")

    def _refuse(self, reason: str, cause: Exception | None = None) -> NoReturn:
        raise InvalidLayerError(f"broken {self._format.name} stream near byte {self._consumed}: {reason}") from cause
