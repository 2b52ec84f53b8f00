"""Files that tar formats find hard. Root only."""

from __future__ import annotations

import os
from pathlib import Path

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
