"""What GNU tar writes, in every format it has, is unpacked as GNU tar unpacks it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from headway.layers.applier import apply_layer
from tests.fakes.tars import Source
from tests.fakes.trees import snapshot

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away and makes devices: run it as root")

CAPABILITY = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"


def make_nasty(root: Path, *, long_names: bool) -> None:
    """Fill `root` with what tar formats find hard; without names that v7 and ustar cannot hold unless asked for."""
    folder = os.fsencode(root)
    for number, size in enumerate((0, 1, 511, 512, 513, 10_240, 1_500_000)):
        with open(folder + b"/f%d" % number, "wb") as target:
            target.write(os.urandom(size))
    for name in (b"new\nline", b"caf\xe9", b"\xff\xfe", " é漢".encode(), b"back\\slash", b"-dash", b"*?", b"n" * 90):
        with open(folder + b"/" + name, "wb") as target:
            target.write(name)
    os.makedirs(folder + b"/d/e/empty")
    os.link(folder + b"/f3", folder + b"/d/e/hard")
    os.symlink(b"../f3", folder + b"/d/soft")
    os.symlink(b"/nowhere/at/all", folder + b"/d/dangling")
    os.mkfifo(folder + b"/d/fifo")
    os.mknod(folder + b"/d/null", 0o20666, os.makedev(1, 3))
    os.mknod(folder + b"/d/disk", 0o60660, os.makedev(8, 1))
    with open(folder + b"/d/sparse", "wb") as target:
        for offset in (0, 70_000, 300_000):
            target.seek(offset)
            target.write(b"data" * 2000)
        target.truncate(1_000_000)
    if long_names:
        deep = folder + b"/" + b"/".join([b"deep" * 20] * 5)
        os.makedirs(deep)
        with open(deep + b"/" + b"x" * 200, "wb") as target:
            target.write(b"deep")
        os.symlink(b"t" * 150, deep + b"/" + b"l" * 120)
        os.link(deep + b"/" + b"x" * 200, folder + b"/hard-to-deep")
    os.chown(folder + b"/f1", 1000, 2000)
    os.chown(folder + b"/d/soft", 1000, 2000, follow_symlinks=False)
    os.chmod(folder + b"/f2", 0o4755)
    os.chmod(folder + b"/f3", 0o0)
    os.chmod(folder + b"/d/e", 0o3777)
    os.setxattr(folder + b"/f1", b"security.capability", CAPABILITY)
    os.setxattr(folder + b"/d", b"trusted.note", b"a\0b")
    for number, (path, _, files) in enumerate(os.walk(folder, topdown=False)):
        for name in [*files, b"."]:
            os.utime(path + b"/" + name, ns=(number, 10**18 + number * 7 * 10**9), follow_symlinks=False)


@pytest.mark.parametrize("dialect", ["gnu", "oldgnu", "pax", "ustar", "v7"])
@pytest.mark.parametrize("sparse", [(), ("--sparse",)])
def test_every_format_unpacks_as_gnu_tar_unpacks_it(tmp_path: Path, dialect: str, sparse: tuple[str, ...]) -> None:
    source, ours, theirs = (tmp_path / name for name in ("source", "ours", "theirs"))
    for folder in (source, ours, theirs):
        folder.mkdir()
    make_nasty(source, long_names=dialect in ("gnu", "oldgnu", "pax"))
    options = [f"--format={dialect}", *(["--xattrs", "--xattrs-include=*"] if dialect == "pax" else [])]
    command = ["tar", "-cf", "-", *options, *(sparse if dialect not in ("ustar", "v7") else ()), "-C", str(source), "."]
    archive = subprocess.run(command, check=False, capture_output=True).stdout  # v7 cannot hold devices: it says so

    _extract(archive, theirs)
    _, report = apply_layer(Source(archive), ours, lambda _: None)

    assert snapshot(ours) == snapshot(theirs)
    assert len(snapshot(ours)) > 20
    assert report.implicit == ()


def _extract(archive: bytes, target: Path) -> None:
    command = ["tar", "--xattrs", "--xattrs-include=*", "--numeric-owner", "--same-owner", "-p", "-xf", "-", "-C"]
    subprocess.run([*command, str(target)], input=archive, check=True)


def test_holes_stay_holes(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as target:
        target.seek(50 << 20)
        target.write(b"end")
    command = ["tar", "-cf", "-", "--sparse", "--format=pax", "-C", str(tmp_path), "sparse"]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    tree = tmp_path / "tree"
    tree.mkdir()

    _, report = apply_layer(Source(archive), tree, lambda _: None)

    status = (tree / "sparse").stat()
    assert (status.st_size, report.size) == ((50 << 20) + 3, (50 << 20) + 3)
    assert report.disk_bytes == status.st_blocks * 512 == 4096
