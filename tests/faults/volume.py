"""A small file system with as much room as a test leaves it; needs root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MIB = 1 << 20
_STEP = 4096


class Volume:
    """A mounted file system, part of which a filler takes.

    Attributes:
        path: Where it is mounted.
        root: A data root on it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = path / "root"
        self._filler = path / "filler"

    def free(self) -> int:
        """Return how many bytes are free."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def leave(self, room: int) -> None:
        """Let so many bytes be free, or nearly: the filler grows by whole blocks, and may need one for itself."""
        descriptor = os.open(self._filler, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            wanted = max(0, size + self.free() - room)
            if wanted < size:
                os.truncate(descriptor, wanted)
            while wanted > size:
                with suppress(OSError):
                    os.posix_fallocate(descriptor, size, wanted - size)
                    break
                wanted -= _STEP
        finally:
            os.close(descriptor)


@contextmanager
def volume(place: Path, kind: str, size: int = 24 * MIB) -> Iterator[Volume]:
    """Mount a new file system: ``tmpfs``, or another kind in a file."""
    target = place / kind
    target.mkdir()
    if kind == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "headway-test", target], check=True)
    else:
        image = place / f"{kind}.img"
        with image.open("wb") as file:
            file.truncate(size)
        options = ["-F", "-m", "0"] if kind.startswith("ext") else ["-f"]
        subprocess.run([f"mkfs.{kind}", "-q", *options, image], check=True)
        subprocess.run(["mount", "-o", "loop", image, target], check=True)
    try:
        yield Volume(target)
    finally:
        subprocess.run(["umount", "-l", target], check=True)
