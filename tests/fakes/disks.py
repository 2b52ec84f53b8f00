"""Real file systems in a file, for tests of what the disk really takes up; root only."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

EXT4 = ("mkfs.ext4", "-q", "-F")
EXT4_SMALL_BLOCKS = (*EXT4, "-b", "1024")
EXT4_INLINE = (*EXT4, "-O", "inline_data")
XFS = ("mkfs.xfs", "-q", "-f")
BTRFS = ("mkfs.btrfs", "-q", "-f")


@contextmanager
def disk(place: Path, make: Sequence[str] = EXT4, *, megabytes: int = 64) -> Iterator[Path]:
    """Give the directory where a new file system is mounted; its image lies in `place`."""
    image, target = place / "disk.img", place / "disk"
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run([*make, str(image)], check=True)
    target.mkdir()
    subprocess.run(["mount", "-o", "loop", image, target], check=True)
    try:
        yield target
    finally:
        subprocess.run(["umount", target], check=True)
        image.unlink()


def du(path: Path) -> int:
    """Return what du says a directory takes up, in bytes."""
    said = subprocess.run(["du", "-s", "-B1", "-x", path], check=True, capture_output=True, text=True)
    return int(said.stdout.split()[0])
