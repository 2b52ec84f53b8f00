"""A streaming reader of tar archives: ustar, pax, GNU and v7, as layers come in all of them.

Rule 1: bytes come in once, in order, in pieces; bodies go out as views of those pieces, never copied.
Rule 2: every byte of the stream is consumed, behind the end marker too, for the diff ID covers it.
Rule 3: names are bytes, exactly as in the archive: what they mean on a file system is the applier's business.
Rule 4: where readers differ, this one does what Docker, containerd and podman do, which unpack with Go's archive/tar:
        global pax headers mean nothing, and of several headers of one kind before an entry the last one counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import NoReturn

from headway.errors import InvalidLayerError
from headway.layers.tar import pax_records, sparse_maps
from headway.layers.tar.entry import DIRECTORY, FILE, NOTHING, OLD_FILE, WITHOUT_BODY, Entry, extend, plain_entry
from headway.layers.tar.header import BLOCK, checksum_matches, number, text, unpack_header
from headway.layers.tar.limits import DEFAULT_LIMITS, Limits
from headway.layers.tar.observer import EXTENSION, OTHER, PLAIN, Observer
from headway.layers.tar.pax_records import NANOSECONDS

_EXTENSIONS = frozenset((b"x", b"g", b"L", b"K"))
_ZEROS = bytes(BLOCK)


def _time_limit() -> int:
    """Return the first moment that no file here is given, in nanoseconds.

    It is the one in 2262 after which 64 bits do not hold them (as Docker), or in 2038, where time_t has 32 bits.
    """
    try:
        time.gmtime(1 << 31)
    except OverflowError:
        return NANOSECONDS << 31
    return 1 << 63


_TIME_LIMIT = _time_limit()


class TarReader:
    """Iterates over the entries of an archive; `body` gives the content of the one that came last.

    A body that is not asked for is skipped. The iteration ends behind the last byte of the stream.

    Args:
        pieces: The archive, in pieces of any length.
        limits: Where to stop trusting it.
        observer: Sees every piece.

    Raises:
        InvalidLayerError: While iterating, here and in `body`: broken, truncated, or beyond the limits.
    """

    def __init__(
        self, pieces: Iterable[bytes], *, limits: Limits = DEFAULT_LIMITS, observer: Observer | None = None
    ) -> None:
        self._pieces = iter(pieces)
        self._limits = limits
        self._observer = observer
        self._marks = None if observer is None else observer.marks
        self._step = PLAIN
        self._piece = b""
        self._view = memoryview(b"")
        self._end = 0
        self._at = 0
        self._before = 0  # bytes of the stream before this piece
        self._left = 0  # bytes of the current body that were not given out
        self._padding = 0  # bytes between that body and the next header
        self._extended = 0  # bytes of the next entry's extension headers
        self.entries = 0

    @property
    def position(self) -> int:
        """Bytes of the stream consumed so far."""
        return self._before + self._at

    def __iter__(self) -> Iterator[Entry]:
        while (entry := self.next()) is not None:
            yield entry

    def next(self) -> Entry | None:
        """Return the next entry, None at the end."""
        if self._left:
            for _ in self.body():
                pass
        try:
            entry = self._next()
        except ValueError as error:
            self._refuse(str(error), error)
        if entry is not None:
            self.entries += 1
            if self._marks is not None:
                self._marks.append((self._at, self._left, self._step))
                if self._observer is not None and self._step == OTHER:
                    self._observer.other(entry)
        return entry

    def body(self) -> Iterable[memoryview]:
        """Return what is left of the current entry's content, to be taken before `next`."""
        at, left = self._at, self._left
        end = at + left
        if end <= self._end:
            self._at = end
            self._left = 0
            return (self._view[at:end],) if left else ()
        return self._long_body()

    def _long_body(self) -> Iterator[memoryview]:
        while self._left:
            if self._at == self._end and not self._refill():
                self._refuse("truncated: it ends inside a file's content")
            at = self._at
            self._at = min(self._end, at + self._left)
            self._left -= self._at - at
            yield self._view[at : self._at]

    # --- entries ---

    def _next(self) -> Entry | None:
        pax = long = NOTHING
        self._extended = 0
        self._step = PLAIN
        while (found := self._fields()) is not None:
            block, at, fields = found
            kind = fields[5]
            if kind not in _EXTENSIONS:
                break
            pax, long = self._extend(kind, number(fields[2]), pax, long)
        else:
            if pax or long:
                raise ValueError("truncated: it ends behind the extended header of an entry")
            return None
        entry = plain_entry(fields)
        if pax or long:
            self._step = PLAIN if extend(entry, pax, long) else OTHER
        if entry.kind == OLD_FILE:
            entry.kind = DIRECTORY if entry.name.endswith(b"/") else FILE
        self._check(entry)
        if entry.kind not in WITHOUT_BODY:
            self._left = entry.size
            self._padding = -entry.size % BLOCK
        if kind == b"S" or entry.pax:
            self._map(entry, kind, block, at)
        return entry

    def _fields(self) -> tuple[bytes, int, tuple[bytes, ...]] | None:
        """Return what holds the next header, where, and its fields; None, with all consumed, at the end marker."""
        at = self._at + self._padding
        if at + BLOCK <= self._end:  # nearly always, and it has to be quick
            block = self._piece
            self._at = at + BLOCK
            self._padding = 0
        else:
            block, at = self._header()
        fields = unpack_header(block, at)
        if not block[at] and block[at : at + BLOCK] == _ZEROS:
            self._finish()
            return None
        if not checksum_matches(block, at, fields[4]):
            raise ValueError("what should be a tar header is not one")
        return block, at, fields

    def _extend(
        self, kind: bytes, size: int, pax: dict[bytes, bytes], long: dict[bytes, bytes]
    ) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
        """Read the body of an extension header, and return what is known of the next entry with it."""
        self._extended += size
        if size < 0 or self._extended > self._limits.extension_bytes:
            raise ValueError(f"the extended headers of an entry are more than {self._limits.extension_bytes} bytes")
        if self._marks is not None:
            self._marks.append((self._at, size, EXTENSION))
        data = self._take(size)
        self._padding = -size % BLOCK
        if kind in (b"L", b"K"):
            return pax, {**long, kind: text(data)}
        records = pax_records.collect(data)
        # Docker hands a global header on as an entry, and skips it: what came before it belonged to it.
        return (records, long) if kind == b"x" else (NOTHING, NOTHING)

    def _map(self, entry: Entry, kind: bytes, block: bytes, at: int) -> None:
        """Find out where the parts of a sparse file belong."""
        if kind == b"S":
            entry.sparse, entry.size = sparse_maps.old_gnu(block[at : at + BLOCK], self._block, self._left)
        elif entry.kind == FILE and (found := sparse_maps.pax(entry.pax, self._block, self._left)) is not None:
            entry.sparse, entry.size, self._left = found
        if entry.sparse is not None:
            self._step = OTHER
        self._check(entry)

    def _check(self, entry: Entry) -> None:
        limits = self._limits
        if self.entries >= limits.entries:
            raise ValueError(f"it has more than {limits.entries} entries")
        if len(entry.name) > limits.path_bytes or len(entry.linkname) > limits.path_bytes:
            raise ValueError(f"a name is longer than {limits.path_bytes} bytes")
        if not 0 <= entry.size <= limits.expanded_bytes and entry.kind not in WITHOUT_BODY:
            raise ValueError(f"a file of {entry.size} bytes")
        if not -_TIME_LIMIT < entry.mtime_ns < _TIME_LIMIT:
            entry.mtime_ns = 0  # as Docker has it

    def _finish(self) -> None:
        """Consume the rest: a second zero block and whatever follows."""
        second = self._take_up_to(BLOCK)
        if second.strip(b"\0"):
            raise ValueError("there is an empty block between its entries")
        if 0 < len(second) < BLOCK:
            raise ValueError("truncated: it ends inside its end marker")
        while True:
            self._take_up_to(self._end - self._at)
            if not self._refill():
                return

    # --- bytes ---

    def _header(self) -> tuple[bytes, int]:
        """Return the next header and where it starts in that; a block of zeros at the end of the stream."""
        # Docker takes an archive that ends without its last padding, and one without an end marker.
        self._take_up_to(self._padding)
        self._padding = 0
        block = self._take_up_to(BLOCK)
        if block and len(block) < BLOCK:
            self._refuse("truncated: it ends inside a header")
        return block or _ZEROS, 0

    def _block(self) -> bytes:
        return self._take(BLOCK)

    def _take(self, count: int) -> bytes:
        data = self._take_up_to(count)
        if len(data) < count:
            self._refuse("truncated: it ends inside a header")
        return data

    def _take_up_to(self, count: int) -> bytes:
        """Return the next bytes that are no file's content; fewer than `count` at the end of the stream."""
        at = self._at
        self._at = min(self._end, at + count)
        parts = [self._piece[at : self._at]]
        missing = count - len(parts[0])
        while missing and self._refill():
            self._at = min(self._end, missing)
            missing -= self._at
            parts.append(self._piece[: self._at])
        return b"".join(parts)

    def _refill(self) -> bool:
        """Go on to the next piece; tell whether there is one."""
        if self._observer is not None:
            self._observer.piece(self._piece)
        for piece in self._pieces:
            if piece:
                self._before += self._end
                self._piece = piece
                self._view = memoryview(piece)
                self._end = len(piece)
                self._at = 0
                if self._before + self._end > self._limits.expanded_bytes:
                    self._refuse(f"it expands to more than {self._limits.expanded_bytes} bytes")
                return True
        self._before += self._end
        self._piece, self._view, self._at, self._end = b"", memoryview(b""), 0, 0
        return False

    def _refuse(self, reason: str, cause: Exception | None = None) -> NoReturn:
        raise InvalidLayerError(f"broken layer near byte {self.position} of its tar: {reason}") from cause
