"""Layers that want too much: of time, of memory, of the disk."""

from __future__ import annotations

import gzip
import re
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.tars import Item, directory, file, header, tar
from tests.faults.registry import Registry
from tests.prove.peaks import Peaks, peaks_of
from tests.prove.scene import PULL_SECONDS, Said, small_disk, started, unlisted
from tests.prove.sheet import Sheet, check

MILLION = 1_000_000
GIB = 1 << 30
PLAIN, REMEMBERED = 100, 500
"""Most memory in MB: of any layer, and of one with more directories than may be."""

FINAL, DISK_FULL = 1, 73


@check(
    "hostile",
    "A million files, a million directories, a bomb of 1 GiB in 1 MiB and zstd windows of gigabytes: unpacked in "
    "bounded memory or refused with one clear error, and nothing stays.",
    needs_root=True,
)
def hostile(sheet: Sheet) -> None:
    """Pull one after the other."""
    _million_files(sheet)
    _refused(
        sheet,
        "a million directories",
        gzip.compress(_many(directory), 1),
        FINAL,
        "take up more than 1000000 half kilobytes",
        REMEMBERED,
    )
    _bomb(sheet)
    for title, head in {
        "a zstd window of 3.75 TiB": b"\x28\xb5\x2f\xfd\x00\xff",
        "a zstd window of 2 GiB": b"\x28\xb5\x2f\xfd\x00\xa8",
        "a zstd frame of 4 GiB in one segment": b"\x28\xb5\x2f\xfd\xa0\xff\xff\xff\xff",
    }.items():
        blob = head + b"\x01\x00\x00" + bytes(100)
        _refused(sheet, title, blob, FINAL, "Headway accepts at most 128 MiB", PLAIN)


def _million_files(sheet: Sheet) -> None:
    said, peaks = _pulled(sheet.place / "files", images.image([_many(file)]))
    sheet.right("a million files: pulled", said.problem)
    sheet.tell("a million files: seconds", f"{said.seconds:.0f}")
    sheet.at_most("a million files: memory", peaks.memory / 1e6, PLAIN, "MB", decimals=1)


def _bomb(sheet: Sheet) -> None:
    """Let a bomb burst on a disk that cannot hold it, and one that is all behind the tar's end."""
    packer = zlib.compressobj(9, wbits=31)
    mib = bytes(1 << 20)
    parts = [packer.compress(header(b"bomb", size=GIB)), *(packer.compress(mib) for _ in range(GIB >> 20))]
    packed = b"".join([*parts, packer.flush()])
    sheet.at_most("a bomb of 1 GiB: packed", len(packed), 1 << 20, "bytes", decimals=0)
    with small_disk(sheet.place / "disk", megabytes=64) as disk:
        _refused(sheet, "a bomb of 1 GiB", packed, DISK_FULL, "no space left", PLAIN, root=disk / "root")
    behind = images.image([tar(file("a", b"a")) + bytes(GIB // 4)])
    said, peaks = _pulled(sheet.place / "behind", behind)
    sheet.right("a bomb behind the end: hashed and dropped", said.problem)
    sheet.at_most("a bomb behind the end: memory", peaks.memory / 1e6, PLAIN, "MB", decimals=1)


def _refused(
    sheet: Sheet, title: str, blob: bytes, status: int, part: str, memory: float, *, root: Path | None = None
) -> None:
    """Pull an image with this blob, and take down whether it fails as it should."""
    root = root or sheet.place / re.sub(r"\W", "-", title)
    said, peaks = _pulled(root, images.image([b"whatever it is"], blobs=[blob]))
    rules: list[tuple[str, Callable[[], bool]]] = [
        (f"status {said.status}", lambda: said.status == status),
        ("a traceback", lambda: "Traceback" not in said.stderr),
        ("not one error", lambda: len(re.findall("^headway: ", said.stderr, re.M)) == 1),
        (f"not named: {part}", lambda: part in said.stderr),
    ]
    problem = next((f"{rule}: {said.stderr.strip()}" for rule, holds in rules if not holds()), "")
    sheet.right(f"{title}: one clear error", problem)
    sheet.at_most(f"{title}: memory", peaks.memory / 1e6, memory, "MB", decimals=1)
    sheet.right(f"{title}: nothing private stays", ", ".join(path.name for path in (root / "tmp").iterdir()))
    sheet.right(f"{title}: nothing listed", unlisted(Cli(root)))


def _pulled(root: Path, image: images.Image) -> tuple[Said, Peaks]:
    began = time.monotonic()
    with (
        Registry([image]) as registry,
        started(Cli(root), "pull", f"{registry.host}/test/image") as process,
        peaks_of(process.pid) as peaks,
    ):
        stdout, stderr = process.communicate(timeout=PULL_SECONDS)
    return Said(process.returncode, stdout, stderr, time.monotonic() - began), peaks


def _many(make: Callable[[str], Item]) -> bytes:
    """Return a layer of a million entries in a thousand directories."""
    return tar(*(make(f"{number // 1000}/{number}") for number in range(MILLION)))
