"""Which driver is taken, and what is known of the file system below it (moby-behaviour 4.7)."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from headway.container_records import RwPlace
from headway.errors import UnsupportedError
from headway.layers.drivers import quota
from headway.layers.drivers.overlay2 import Overlay2Driver
from headway.layers.drivers.selection import InstalledDrivers, Known, choose_driver
from headway.layers.drivers.vfs import VfsDriver
from tests.fakes.nobody import as_nobody, home_of_nobody

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts")


class Broken(Overlay2Driver):
    """overlay2 on a kernel that has none."""

    def supported(self, path: Path) -> str | None:
        return f"the kernel does not mount overlay file systems at {path}"


BROKEN: Known = {"overlay2": Broken, "vfs": VfsDriver}


@as_root
def test_the_best_that_works_is_taken(tmp_path: Path) -> None:
    assert choose_driver("", (), tmp_path).name == "overlay2"
    assert choose_driver("", (), tmp_path, BROKEN).name == "vfs"
    assert choose_driver("", ("vfs",), tmp_path).name == "overlay2"  # as Docker: vfs counts for nothing


def test_one_that_is_named_is_taken_or_refused(tmp_path: Path) -> None:
    assert choose_driver("vfs", (), tmp_path).name == "vfs"
    for name in ("overlay2", "btrfs"):
        with pytest.raises(UnsupportedError, match=r"^error initializing graphdriver: driver not supported"):
            choose_driver(name, (), tmp_path, BROKEN)


def test_the_driver_of_what_is_here_stays(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="prior storage driver overlay2 failed: driver not supported"):
        choose_driver("", ("vfs", "overlay2"), tmp_path, BROKEN)


def test_somebody_who_is_not_root_copies() -> None:
    with home_of_nobody() as home, as_nobody():
        drivers = InstalledDrivers("", list, home)

        assert drivers.chosen() is drivers.chosen()
        assert drivers.chosen().name == "vfs"


@as_root
def test_its_status_is_dockers(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "headway-test", tmp_path], check=True)
    try:
        status = Overlay2Driver().status(tmp_path)
    finally:
        subprocess.run(["umount", tmp_path], check=True)

    assert status == [
        ("Backing Filesystem", "tmpfs"),
        ("Supports d_type", "true"),
        ("Using metacopy", "false"),
        ("Native Overlay Diff", "true"),
        ("userxattr", "false"),
    ]
    assert VfsDriver().status(tmp_path) == []


# --- quotas ---


@pytest.mark.parametrize(
    ("text", "size"),
    [("10G", 10 << 30), ("1.5gb", 3 << 29), ("512MiB", 512 << 20), ("7", 7), ("3 k", 3072), ("2t", 2 << 40), ("0", 0)],
)
def test_sizes_are_read_as_docker_reads_them(text: str, size: int) -> None:
    assert quota.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1", "1.2.3", "1 GG", "1G\n", "0x10", "9" * 400, "8388608T", "1e9"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedError, match="invalid size"):
        quota.parse_size(text)


def test_a_limit_is_the_kernels_structure() -> None:
    data = quota.encode_limit(7, 1 << 20)

    assert len(data) == 112  # struct fs_disk_quota, linux/dqblk_xfs.h
    assert struct.unpack_from("=bbHIQQ", data) == (1, 2, 0b1100, 7, 2048, 2048)
    assert not any(data[24:])


XFS = ["mkfs.xfs", "-q", "-f"]
EXT4 = ["mkfs.ext4", "-q", "-F"]
# How each may have quotas; and how it is where this kernel has none.
WAYS = {
    "xfs": [(XFS, "loop,pquota"), (XFS, "loop")],
    "ext4": [([*EXT4, "-O", "quota,project", "-E", "quotatype=prjquota"], "loop,prjquota"), (EXT4, "loop")],
}


@contextmanager
def mounted(kind: str, place: Path) -> Iterator[Path]:
    """Give a file system of its own, with project quotas where this kernel has them."""
    image, target = place / "image", place / "disk"
    target.mkdir()
    with image.open("wb") as file:
        file.truncate(400 << 20)
    for make, options in WAYS[kind]:
        subprocess.run([*make, image], check=True)
        if subprocess.run(["mount", "-o", options, image, target], check=False, capture_output=True).returncode == 0:
            break
    yield target
    subprocess.run(["umount", target], check=True)


@as_root
@pytest.mark.parametrize("kind", WAYS)
def test_a_directory_holds_as_much_as_it_may_or_the_kernel_has_no_quotas(kind: str, tmp_path: Path) -> None:
    with mounted(kind, tmp_path) as disk:
        box = RwPlace(disk / "box")
        box.path.mkdir()
        if quota.is_enforced(disk):
            VfsDriver().create(box, [], {"size": "1M"})
            box.merged.chmod(0o777)
            found = fits(box.merged, 1 << 19), fits(box.merged, 1 << 21), fits(disk, 1 << 21)
            assert found == (True, False, True)
        else:
            with pytest.raises(UnsupportedError, match="has not enabled quotas"):
                VfsDriver().create(box, [], {"size": "1M"})


@as_root
@pytest.mark.parametrize("kind", WAYS)
def test_overlay2_has_limits_where_they_bind_root_too(kind: str, tmp_path: Path) -> None:
    with mounted(kind, tmp_path) as disk:
        box = RwPlace(disk / "box")
        box.path.mkdir()
        if kind == "xfs" and quota.is_enforced(disk):
            Overlay2Driver().create(box, [], {"size": "1M"})
            assert not fits(box.upper, 1 << 21, nobody=False)
        else:
            with pytest.raises(UnsupportedError, match="only for overlay over xfs with 'pquota' mount option"):
                Overlay2Driver().create(box, [], {"size": "1M"})


@as_root
def test_what_is_made_in_a_project_belongs_to_it(tmp_path: Path) -> None:
    with mounted("xfs", tmp_path) as disk:
        box = disk / "box"
        box.mkdir()
        descriptor = os.open(box, os.O_RDONLY)
        quota.give_project(descriptor, 4711)
        os.close(descriptor)

        (box / "in").mkdir()

        assert [project(path) for path in (box, box / "in", disk)] == [4711, 4711, 0]


def fits(directory: Path, size: int, *, nobody: bool = True) -> bool:
    """Write so many bytes to a new file, as somebody without privileges or as root; tell whether they found room."""
    if nobody:
        directory.chmod(0o777)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with as_nobody() if nobody else nullcontext():
            target = os.open(f"{size}", os.O_WRONLY | os.O_CREAT, dir_fd=descriptor)
            with open(target, "wb") as file:
                file.write(bytes(range(256)) * (size // 256))
                file.flush()
                os.fsync(target)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return False
    finally:
        os.close(descriptor)
    return True


def project(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        data = bytearray(28)
        fcntl.ioctl(descriptor, 0x801C581F, data)
    finally:
        os.close(descriptor)
    (found,) = struct.unpack_from("=I", data, 12)
    assert isinstance(found, int)
    return found
