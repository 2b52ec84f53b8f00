"""The compressed formats of layers, each with the library that decompresses it.

Rule: each library is imported by one class here, when the first layer needs it.
"""

from __future__ import annotations

import sys
import zlib
from functools import partial
from typing import NamedTuple, Protocol

from headway.errors import InvalidLayerError, UnsupportedError
from headway.layers.compression.stream_headers import GZIP_MAGIC, gzip_header_size, xz_dictionary, zstd_frame
from headway.layers.compression.windows import FREE

LARGEST_WINDOW = 128 << 20
"""Largest window that is accepted, in bytes; xz calls it a dictionary."""

_XZ_MEMORY = 1 << 20  # what a decoder takes beside its dictionary, and some


class Decoder(Protocol):
    """One member, frame or stream: the shape that isal, zstd, lzma and bz2 share."""

    @property
    def eof(self) -> bool:
        """Whether its end was reached."""

    @property
    def needs_input(self) -> bool:
        """Whether there is no more output without new input."""

    @property
    def unused_data(self) -> bytes:
        """Input that lies behind its end."""

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes:
        """Take `data` and return at most `max_length` bytes."""


class Part(NamedTuple):
    """A member, frame or stream that has begun.

    Attributes:
        decoder: Expands it.
        window_bytes: Memory for looking back that it asks for.
        content_bytes: What it says it expands to; None where it does not say.
    """

    decoder: Decoder
    window_bytes: int = 0
    content_bytes: int | None = None


class Format(Protocol):
    """How the parts of a compressed stream begin and end.

    Attributes:
        name: For messages.
        errors: What the library raises for broken data.
    """

    name: str
    errors: tuple[type[Exception], ...]

    def open(self, head: bytes) -> tuple[Part, list[bytes]] | None:
        """Return the part that starts with `head`, and what to feed its decoder piece by piece.

        None where `head` is too short to tell.

        Raises:
            InvalidLayerError: No part starts like this.
        """


class Swallower:
    """A decoder without output, for what lies behind the last part.

    Attributes:
        is_whole: Whether the stream may end here.
    """

    eof = False
    needs_input = True
    unused_data = b""
    is_whole = True

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        """Return nothing."""
        del data, max_length
        return b""


class _Padding(Swallower):
    """Swallows the zeros between two xz streams, whose number has to be a multiple of four.

    Raises:
        InvalidLayerError: From `decompress`: a stream follows another number of zeros.
    """

    def __init__(self) -> None:
        self._zeros = 0

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        """Return nothing."""
        del max_length
        self.unused_data = data.lstrip(b"\0")
        self._zeros += len(data) - len(self.unused_data)
        self.is_whole = not self._zeros % 4
        self.eof = bool(self.unused_data)
        if self.eof and not self.is_whole:
            raise InvalidLayerError("broken xz stream: the padding behind a stream is no multiple of four bytes")
        return b""


class _ZlibDecoder:
    """Gives zlib's decompressor the shape of the others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self._full = False

    @property
    def eof(self) -> bool:
        """See `Decoder`."""
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        """See `Decoder`. A full piece may mean that more is ready, even where all of the input was taken."""
        return not self._full and not self._inner.unconsumed_tail and not self._inner.eof

    @property
    def unused_data(self) -> bytes:
        """See `Decoder`."""
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes:
        """See `Decoder`."""
        tail = self._inner.unconsumed_tail
        piece = self._inner.decompress(tail + data if tail else data, max_length)
        self._full = len(piece) == max_length
        return piece


class Gzip:
    """RFC 1952. Bytes behind the last member that are not another one are ignored, as by GNU gzip."""

    name = "gzip"

    def __init__(self, *, isal: bool) -> None:
        self._first = True
        self.errors: tuple[type[Exception], ...] = (zlib.error,)
        self._igzip = None
        if isal:
            try:
                from isal import igzip_lib  # noqa: PLC0415 (not on every machine; zlib does as well)
            except ImportError:
                return
            self._igzip = igzip_lib
            self.errors = (igzip_lib.IsalError,)  # type: ignore[assignment]  # its stub names an instance

    def open(self, head: bytes) -> tuple[Part, list[bytes]] | None:
        """See `Format`."""
        if not self._first and not head.startswith(GZIP_MAGIC[: len(head)]):
            return Part(Swallower()), [b""]
        size = gzip_header_size(head)
        if size is None:
            return None
        self._first = False
        if self._igzip is None:
            return Part(_ZlibDecoder()), [head]
        return Part(self._igzip.IgzipDecompressor(flag=self._igzip.DECOMP_GZIP_NO_HDR_VER)), [head[size:]]


class Zstd:
    """RFC 8878: frames and skippable frames, nothing else."""

    name = "zstd"

    def __init__(self) -> None:
        try:
            if sys.version_info >= (3, 14):
                from compression import zstd  # noqa: PLC0415 (late: few layers need it)
            else:
                from backports import zstd  # noqa: PLC0415 (as above)
        except ImportError as error:
            raise UnsupportedError(
                "this layer is compressed with zstd, which needs the Python package backports.zstd"
            ) from error
        self.errors: tuple[type[Exception], ...] = (zstd.ZstdError,)
        self._new = zstd.ZstdDecompressor
        self._options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: LARGEST_WINDOW.bit_length() - 1}

    def open(self, head: bytes) -> tuple[Part, list[bytes]] | None:
        """See `Format`."""
        frame = zstd_frame(head)
        if frame is None:
            return None
        window = _accepted(self.name, frame.window)
        # The header comes alone: where libzstd sees a whole frame at once, it checks less than it does otherwise.
        begin = [head[: frame.header], head[frame.header :]]
        # Nor does it check what the frame announces where the last block is empty.
        return Part(self._new(options=self._options), window, frame.content), begin


class Xz:
    """Streams and stream padding (xz file format, 2.2).

    The dictionary size of the first block counts for the whole stream: a later block that needs more, and more than the
    size that is always free, is refused. xz makes such streams only if it is given filters for each block.
    """

    name = "xz"

    def __init__(self) -> None:
        import lzma  # noqa: PLC0415 (late: few layers need it)

        self.errors: tuple[type[Exception], ...] = (lzma.LZMAError,)
        self._new = partial(lzma.LZMADecompressor, format=lzma.FORMAT_XZ)

    def open(self, head: bytes) -> tuple[Part, list[bytes]] | None:
        """See `Format`."""
        if head.startswith(b"\0"):
            return Part(_Padding()), [head]
        dictionary = xz_dictionary(head)
        if dictionary is None:
            return None
        window = _accepted(self.name, dictionary)
        return Part(self._new(memlimit=max(dictionary, FREE) + _XZ_MEMORY), window), [head]


class Bzip2:
    """Concatenated streams. Anything else behind a stream is refused, as by the engines; bzip2 itself ignores it."""

    name = "bzip2"
    errors: tuple[type[Exception], ...] = (OSError, ValueError)

    def __init__(self) -> None:
        import bz2  # noqa: PLC0415 (late: few layers need it)

        self._new = bz2.BZ2Decompressor

    def open(self, head: bytes) -> tuple[Part, list[bytes]] | None:
        """See `Format`."""
        if not head.startswith(b"BZh"[: len(head)]):
            raise InvalidLayerError("broken bzip2 stream: what follows a stream is not a stream")
        if len(head) < 3:
            return None
        return Part(self._new()), [head]


def _accepted(name: str, window: int) -> int:
    """Return the size of a window.

    Raises:
        InvalidLayerError: It is larger than `LARGEST_WINDOW`.
    """
    if window > LARGEST_WINDOW:
        raise InvalidLayerError(
            f"this {name} layer needs a window of {window >> 20} MiB to unpack; "
            f"Headway accepts at most {LARGEST_WINDOW >> 20} MiB"
        )
    return window
