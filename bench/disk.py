"""A fresh, journaled ext4 for each measured run, in a loop file.

Rule: no figure comes from the machine's own file system. An ext4 without a journal walks recently deleted
inodes when it makes new ones, so that the run after a large `rm -rf` pays for it; a new file system per
run starts every program from the same state.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import BenchError, run, succeeds

SECTOR_BYTES = 512
BUSY_SECONDS = 60.0
# The journal and the inode tables are written by mkfs: left to the kernel thread that fills them in
# later, they would be counted as written by whichever program runs first. `nodiscard` keeps the loop
# file's blocks allocated.
MKFS = (
    "mkfs.ext4",
    "-q",
    "-F",
    "-O",
    "has_journal",
    "-E",
    "nodiscard,lazy_itable_init=0,lazy_journal_init=0",
)


class Disk:
    """One loop device, formatted anew for each use.

    Args:
        device: Such as ``/dev/loop0``.
        mount_point: Empty directory where the file system appears.
    """

    def __init__(self, device: str, mount_point: Path) -> None:
        self.mount_point = mount_point
        self._device = device
        self._sysfs = Path("/sys/block") / Path(device).name

    @property
    def is_direct(self) -> bool:
        """Whether the loop device goes past the page cache of the file system that holds its file."""
        return (self._sysfs / "loop" / "dio").read_text().strip() == "1"

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """Format and mount inside the block; unmount after it, whatever happened.

        Raises:
            BenchError: mkfs or mount failed.
        """
        self._format()
        run(["mount", "-t", "ext4", "-o", "noatime", self._device, str(self.mount_point)])
        try:
            yield self.mount_point
        finally:
            unmount_below(self.mount_point)

    def _format(self) -> None:
        """Make a file system; wait while somebody's mount namespace still has a copy of the last one's mount."""
        deadline = time.monotonic() + BUSY_SECONDS
        while not succeeds([*MKFS, self._device]):
            if time.monotonic() > deadline:
                run([*MKFS, self._device])
                return
            time.sleep(0.5)

    def sync(self) -> None:
        """Return when everything written to the mounted file system is on the device.

        Raises:
            BenchError: It could not be written.
        """
        run(["sync", "--file-system", str(self.mount_point)])

    def bytes_written(self) -> int:
        """Count what the device was asked to write since it was attached, journal included, in bytes.

        The seventh figure of the kernel's Documentation/block/stat.rst, in sectors of 512 bytes.
        """
        return int((self._sysfs / "stat").read_text().split()[6]) * SECTOR_BYTES


@contextmanager
def attached(folder: Path, size: int) -> Iterator[Disk]:
    """Attach a loop file of ``size`` bytes under ``folder``; detach and delete it after the block.

    Raises:
        BenchError: No room for the file, or no loop device.
    """
    # The dot keeps tools that walk the sources out of what a running benchmark has mounted.
    file, mount_point = folder / "disk.img", folder / ".disk"
    mount_point.mkdir(exist_ok=True)
    _release(file, mount_point)
    try:
        _allocate(file, size)
        disk = Disk(_attach(file), mount_point)
        yield disk
    finally:
        _release(file, mount_point)
        mount_point.rmdir()


def drop_caches() -> None:
    """Empty the page cache, and the caches of names and inodes, of the whole machine."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3\n")


def unmount_below(folder: Path) -> None:
    """Unmount ``folder`` and whatever is mounted under it, the innermost first."""
    for mount in mounts_below(folder.resolve(), Path("/proc/self/mountinfo").read_text()):
        if not succeeds(["umount", mount]):
            # A process that is on its way out may still hold it; the kernel finishes when it is gone.
            run(["umount", "--lazy", mount])


def mounts_below(folder: Path, mountinfo: str) -> list[str]:
    """Return where something is mounted at or under ``folder``, the innermost first, by the kernel's list.

    The fifth field of a line, in which blanks and backslashes stand as three octal digits: see proc(5).
    """
    fields = (line.split()[4] for line in mountinfo.splitlines())
    mounts = [re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field) for field in fields]
    return [mount for mount in reversed(mounts) if Path(mount).is_relative_to(folder)]


def _allocate(file: Path, size: int) -> None:
    try:
        with file.open("wb") as output:
            os.posix_fallocate(output.fileno(), 0, size)
    except OSError as error:
        raise BenchError(f"no room for a loop file of {size >> 30} GiB: {error.strerror}") from error


def _attach(file: Path) -> str:
    command = ["losetup", "--find", "--show", str(file)]
    try:
        return run([*command, "--direct-io=on"]).strip()
    except BenchError:
        # Not every file system under the loop file offers direct I/O; the report says what was used.
        return run(command).strip()


def _release(file: Path, mount_point: Path) -> None:
    """Undo everything; at the start, too, for a run before this one that was killed."""
    unmount_below(mount_point)
    if file.exists():
        for device in run(["losetup", "--noheadings", "--output", "NAME", "--associated", str(file)]).split():
            run(["losetup", "--detach", device])
        file.unlink()
