"""What a pull cannot do without: each stage alone, as cheaply as this machine can, in CPU seconds.

Rule: a stage does nothing but its system calls or its library's calls, in one thread, on what the image has; what it
needs to know beforehand is found out before the clock starts. What it got has to be the image: an error is fast.
"""

import hashlib
import http.client
import os
import resource
import tarfile  # noqa: TID251  # it only tells what is in a layer, and not on the clock
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from isal import igzip_lib

from bench.corpus import Image
from bench.processes import BenchError

PIECE = 1 << 20
Pieces = Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU and wall seconds."""

    cpu_seconds: float
    wall_seconds: float


@dataclass(frozen=True, slots=True)
class Entry:
    """What one entry of a layer asks of the kernel.

    Args:
        kind: The type byte of its header.
        name: Where it goes.
        size: Bytes of its content.
        target: Of a link.
        mode: Permission bits.
    """

    kind: bytes
    name: str
    size: int
    target: str
    mode: int


def floors(image: Image, address: str, empty: Path) -> dict[str, Cost]:
    """Measure every stage of pulling an image.

    Args:
        image: Of gzip layers, and pushed to the registry.
        address: The registry's host and port.
        empty: A directory on the measured disk.

    Raises:
        BenchError: A stage did not get what the image has.
    """
    blobs, diff_ids = image.layers(), image.diff_ids()
    listed = [list(_entries(blob)) for blob in blobs]
    stages: dict[str, Callable[[], None]] = {
        "network": lambda: _each(blobs, lambda blob: fetch(address, image.name, blob)),
        "sha256 of the blobs": lambda: _each(blobs, lambda blob: check_digest(_read(blob), f"sha256:{blob.name}")),
        "decompression": lambda: _each(blobs, lambda blob: _drain(_expanded(blob))),
        "files": lambda: _make_all(empty, listed),
    }
    costs = {name: _cost(stage) for name, stage in stages.items()}
    tars = dict(zip(blobs, diff_ids, strict=True))
    both = _cost(lambda: _each(blobs, lambda blob: check_digest(_expanded(blob), tars[blob])))
    alone = costs["decompression"]
    hashing = Cost(both.cpu_seconds - alone.cpu_seconds, both.wall_seconds - alone.wall_seconds)
    return costs | {"sha256 of the tars": hashing}


def _cost(stage: Callable[[], None]) -> Cost:
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    stage()
    after, seconds = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - began
    return Cost(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, seconds)


def _each(blobs: list[Path], work: Callable[[Path], None]) -> None:
    for blob in blobs:
        work(blob)


def fetch(address: str, repository: str, blob: Path) -> None:
    """Ask a registry for a blob, which also lies in a file, and drop what comes.

    Raises:
        BenchError: It is not so many bytes that came.
    """
    connection = http.client.HTTPConnection(address)
    connection.request("GET", f"/v2/{repository}/blobs/sha256:{blob.name}")
    answer, buffer, came = connection.getresponse(), bytearray(PIECE), 0
    while count := answer.readinto(buffer):
        came += count
    connection.close()
    if answer.status != http.HTTPStatus.OK or came != blob.stat().st_size:
        raise BenchError(f"the registry answered {answer.status} and {came:,} bytes for blob {blob.name}")


def _read(blob: Path) -> Pieces:
    with blob.open("rb", buffering=0) as file:
        while piece := file.read(PIECE):
            yield piece


def _expanded(blob: Path) -> Pieces:
    state = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    for piece in _read(blob):
        yield state.decompress(piece, PIECE)
        while not (state.needs_input or state.eof):
            yield state.decompress(b"", PIECE)


def check_digest(pieces: Pieces, digest: str) -> None:
    """Hash pieces, and compare.

    Raises:
        BenchError: They are something else.
    """
    state = hashlib.sha256()
    for piece in pieces:
        state.update(piece)
    if f"sha256:{state.hexdigest()}" != digest:
        raise BenchError(f"what should be {digest} is sha256:{state.hexdigest()}")


def _drain(pieces: Pieces) -> None:
    for _ in pieces:
        pass


class _Stream:
    """A layer's tar as a file that is read from its first byte on."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int) -> bytes:
        parts, length = [self._rest], len(self._rest)
        while length < size and (piece := next(self._pieces, b"")):
            parts.append(piece)
            length += len(piece)
        data = b"".join(parts)
        self._rest = data[size:]
        return data[:size]


def _entries(blob: Path) -> Iterator[Entry]:
    stream = _Stream(_expanded(blob))
    with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]  # it only reads
        for member in archive:
            name = os.path.normpath(member.name.lstrip("/"))
            target = member.linkname.lstrip("/") if member.islnk() else member.linkname
            yield Entry(member.type, name, member.size, target, member.mode)


def _make_all(empty: Path, layers: list[list[Entry]]) -> None:
    """Make every layer's files, each in a directory of its own."""
    content, here, mask = memoryview(bytes(PIECE)), Path.cwd(), os.umask(0)
    try:
        for number, entries in enumerate(layers):
            place = empty / str(number)
            place.mkdir()
            os.chdir(place)
            for entry in entries:
                _make(entry, content)
    finally:
        os.umask(mask)
        os.chdir(here)


def _make(entry: Entry, content: memoryview) -> None:
    if entry.kind == tarfile.DIRTYPE:
        os.makedirs(entry.name, entry.mode, exist_ok=True)
    elif entry.kind == tarfile.SYMTYPE:
        os.symlink(entry.target, entry.name)
    elif entry.kind == tarfile.LNKTYPE:
        os.link(entry.target, entry.name)
    elif entry.kind in tarfile.REGULAR_TYPES:
        file = os.open(entry.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, entry.mode)
        left = entry.size
        while left:
            left -= os.write(file, content[: min(left, PIECE)])
        os.utime(file, ns=(0, 0))
        os.close(file)
