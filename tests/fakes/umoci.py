"""An image that umoci makes, with every kind of file and of change between layers. Root only."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import subprocess
import time
import zlib
from collections.abc import Callable
from pathlib import Path

_RECENT_SECONDS = 7 * 86400

_CAP_NET_RAW = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)  # linux/capability.h, vfs_cap_data, revision 2
# linux/posix_acl_xattr.h: version 2, then tag, permissions and ID of each entry.
_ACL = struct.pack(
    "<I" + "HHI" * 5, 2, 1, 6, 0xFFFFFFFF, 2, 4, 1234, 4, 4, 0xFFFFFFFF, 16, 4, 0xFFFFFFFF, 32, 4, 0xFFFFFFFF
)
_DIRECTORIES = {
    "bin": 0o755,
    "usr": 0o755,
    "usr/lib": 0o755,
    "root": 0o700,
    "tmp": 0o1777,
    "shared": 0o2775,
    "empty": 0o755,
    "srv": 0o755,
    "srv/opaque": 0o750,
    "srv/gone": 0o755,
    "srv/gone/in": 0o755,
    "closed": 0o555,
    "firm": 0o555,
    "sealed": 0o000,
    "dev": 0o755,
    "names": 0o755,
    "links": 0o755,
    "links/other": 0o755,
    "times": 0o755,
    "kinds": 0o755,
    "kinds/dir-to-file": 0o755,
    "kinds/dir-to-link": 0o755,
}
_FILES = {
    "bin/setuid": (0o4755, 0),
    "bin/setgid": (0o2755, 0),
    "bin/both": (0o6711, 0),
    "bin/capable": (0o755, 0),
    "bin/listed": (0o644, 0),
    "usr/below": (0o644, 0),
    "root/secret": (0o000, 0),
    "closed/inside": (0o444, 1000),
    "firm/inside": (0o000, 0),
    "sealed/inside": (0o600, 0),
    "shared/odd": (0o640, 65534),
    "shared/far": (0o604, 3_000_000_000),
    "srv/opaque/hidden": (0o644, 0),
    "srv/gone/in/deep": (0o644, 0),
    "kinds/file-to-dir": (0o644, 0),
    "kinds/file-to-link": (0o644, 0),
    "kinds/dir-to-file/below": (0o644, 0),
    "kinds/dir-to-link/below": (0o644, 0),
    "kinds/mode-only": (0o644, 0),
    "kinds/removed": (0o644, 0),
    "links/one": (0o644, 12),
    "empty-file": (0o644, 0),
}
_SYMLINKS = {
    "lib": "usr/lib",
    "links/absolute": "/etc/passwd",
    "links/dangling": "nowhere",
    "links/a": "b",
    "links/b": "a",
    "links/out": "../../../../etc",
    "links/long": "x/" * 120 + "end",
    "kinds/link-to-dir": "dir-to-file",
    "kinds/link-to-file": "mode-only",
}
_TIMES = {
    "times/nano": 1_700_000_000_123_456_789,
    "times/old": -1_500_000_000,
    "times/far": 5_000_000_000_000_000_001,
}
_NAMES = [
    b"caf\xe9 \xff",
    "žluťoučký".encode(),
    b"line\nbreak",
    b" space ",
    b"back\\slash",
    b"-dash",
    b"quo\"te'",
    b"esc\x1b[31m",
    b"n" * 101,
    b"m" * 255,
]


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command and return what it printed.

    Raises:
        AssertionError: It failed; the message is what it said.
    """
    words = list(map(str, command))
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False, cwd=cwd)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def umoci_image(directory: Path) -> Path:
    """Let umoci make the image ``latest`` of a new layout, in nine layers; return the layout."""
    layout, bundle = directory / "layout", directory / "bundle"
    name = f"{layout}:latest"
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", name)
    run("umoci", "unpack", "--image", name, bundle)
    changes: list[Callable[[Path], None]] = [_first, _second, _third]
    for change in changes:
        change(bundle / "rootfs")
        _settle(bundle / "rootfs")
        run("umoci", "repack", "--refresh-bundle", "--image", name, bundle)
    given = directory / "given"
    given.mkdir()
    (given / "file").write_bytes(b"inserted\n")
    _settle(given)
    # Its tar has neither the directory it goes to nor, for the second, the symlink on the way.
    run("umoci", "insert", "--image", name, given / "file", "/root/inserted")
    run("umoci", "insert", "--image", name, given / "file", "/lib/inserted")
    run("umoci", "insert", "--image", name, "--opaque", given, "/srv/opaque")
    run("umoci", "raw", "add-layer", "--image", name, _link_to_below(directory / "link"))
    for kind in ("posix", "gnu"):
        run("umoci", "raw", "add-layer", "--image", name, _gnu_tar(directory / kind, kind))
    shutil.rmtree(bundle)
    return layout


def _first(root: Path) -> None:
    """Every kind of file there is."""
    for name, mode in _DIRECTORIES.items():
        (root / name).mkdir()
        (root / name).chmod(mode)
    for name, (mode, owner) in _FILES.items():
        (root / name).write_bytes(b"" if name == "empty-file" else name.encode())
        os.chown(root / name, owner, owner)
        (root / name).chmod(mode)
    for name, target in _SYMLINKS.items():
        (root / name).symlink_to(target)
    for name, moment in _TIMES.items():
        (root / name).touch()
        os.utime(root / name, ns=(moment, moment))
    os.chown(root / "shared", 33, 44)
    (root / "shared").chmod(0o2775)
    os.setxattr(root / "bin/capable", "security.capability", _CAP_NET_RAW)
    os.setxattr(root / "bin/listed", "system.posix_acl_access", _ACL)
    os.setxattr(root / "shared", "system.posix_acl_default", _ACL)
    os.setxattr(root / "bin/listed", "user.note", b"line\nbreak=\x00\xff")
    os.setxattr(root / "empty", "user.empty", b"")
    os.link(root / "links/one", root / "links/two")
    os.link(root / "links/one", root / "links/other/three")
    os.lchown(root / "links/absolute", 7, 8)
    os.mkfifo(root / "dev/fifo")
    os.mknod(root / "dev/null", stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(root / "dev/loop", stat.S_IFBLK, os.makedev(7, 300))
    os.chown(root / "dev/loop", 0, 6)
    for node, mode in [("fifo", 0o622), ("null", 0o666), ("loop", 0o660)]:
        (root / "dev" / node).chmod(mode)
    _names(os.fsencode(root / "names"))
    with (root / "sparse").open("wb") as sparse:
        sparse.truncate(8 << 20)
        sparse.seek(5 << 20)
        sparse.write(b"island")
    os.utime(root / "links/dangling", ns=(1_600_000_000_000_000_321,) * 2, follow_symlinks=False)
    os.utime(root / "empty", ns=(1_600_000_000_987_654_321,) * 2)


def _settle(root: Path) -> None:
    """Give what was just made a time of its own, long ago, so that it can be compared."""
    for top, directories, files in os.walk(root, topdown=False):
        for name in (*directories, *files, "."):
            path = os.path.join(top, name)
            if 0 <= time.time() - os.lstat(path).st_mtime < _RECENT_SECONDS:
                moment = 1_500_000_000_000_000_000 + zlib.crc32(os.fsencode(os.path.relpath(path, root))) * 1_000_003
                os.utime(path, ns=(moment, moment), follow_symlinks=False)


def _names(directory: bytes) -> None:
    deep = directory + b"/" + b"/".join([b"d" * 90] * 4)
    os.makedirs(deep)
    for path in [deep + b"/bottom", *(directory + b"/" + name for name in _NAMES)]:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(descriptor, path[-20:])
        os.close(descriptor)


def _second(root: Path) -> None:
    """Removals, and every kind of file replaced by another."""
    shutil.rmtree(root / "srv/gone")
    (root / "kinds/removed").unlink()
    (root / "kinds/file-to-dir").unlink()
    (root / "kinds/file-to-dir").mkdir(mode=0o711)
    (root / "kinds/file-to-dir/new").write_bytes(b"new")
    shutil.rmtree(root / "kinds/dir-to-file")
    (root / "kinds/dir-to-file").write_bytes(b"a file now")
    shutil.rmtree(root / "kinds/dir-to-link")
    (root / "kinds/dir-to-link").symlink_to("../usr")
    (root / "kinds/file-to-link").unlink()
    (root / "kinds/file-to-link").symlink_to("mode-only")
    (root / "kinds/link-to-dir").unlink()
    (root / "kinds/link-to-dir").mkdir()
    (root / "kinds/link-to-file").unlink()
    (root / "kinds/link-to-file").write_bytes(b"a file now")
    (root / "kinds/mode-only").chmod(0o4511)
    (root / "links/two").unlink()
    os.removexattr(root / "empty", "user.empty")
    (root / "closed/later").write_bytes(b"later")


def _third(root: Path) -> None:
    """What was removed comes back as something else; what came is removed again."""
    (root / "srv/gone").mkdir(mode=0o700)
    (root / "srv/gone/back").write_bytes(b"back")
    shutil.rmtree(root / "kinds/file-to-dir")
    (root / "kinds/removed").mkdir()
    (root / "kinds/dir-to-file").unlink()
    (root / "kinds/dir-to-file").mkdir()
    (root / "kinds/dir-to-file/again").write_bytes(b"again")
    (root / "links/one").write_bytes(b"changed through one name\n")
    (root / "links/two").write_bytes(b"its own file now")
    shutil.rmtree(root / "closed")
    (root / "sealed/inside").unlink()


def _link_to_below(directory: Path) -> Path:
    """Return a tar that holds one name of a file whose other name a lower layer has."""
    (directory / "usr/lib").mkdir(parents=True)
    (directory / "bin").mkdir()
    (directory / "bin/setuid").touch()
    os.link(directory / "bin/setuid", directory / "usr/lib/link-to-below")
    target = directory / "layer.tar"
    run("tar", "-cf", target, "-C", directory, "bin/setuid", "usr/lib/link-to-below")
    run("tar", "--delete", "-f", target, "bin/setuid")
    return target


def _gnu_tar(directory: Path, kind: str) -> Path:
    """Return what GNU tar makes of what umoci does not write: holes, times of a nanosecond, long names its way."""
    root = directory / kind
    root.mkdir(parents=True)
    with (root / "sparse").open("wb") as sparse:
        for island in (0, 1 << 20, 3 << 20):
            sparse.seek(island)
            sparse.write(b"island")
        sparse.truncate(9 << 20)
    (root / ("l" * 200)).mkdir()
    (root / ("l" * 200) / ("e" * 100)).symlink_to("t" * 300)
    (root / "attributes").write_bytes(b"attributes")
    os.setxattr(root / "attributes", "user.note", b"a=b\nc")
    os.setxattr(root / "attributes", "security.capability", _CAP_NET_RAW)
    # Not rglob: before Python 3.11.4 it fails at a symlink whose target is no possible name.
    below = [Path(top) / name for top, directories, files in os.walk(root) for name in (*directories, *files)]
    for number, path in enumerate([root, *sorted(below)]):
        moment = 1_400_000_000_123_456_789 + number
        os.utime(path, ns=(moment, moment), follow_symlinks=False)
    target = directory / "layer.tar"
    # Attributes would make it posix, and umoci does not know GNU's own form of sparse files.
    more = ["--xattrs", "--xattrs-include=*", "--sparse"] if kind == "posix" else []
    run("tar", f"--format={kind}", *more, "-cf", target, "-C", directory, kind)
    return target
