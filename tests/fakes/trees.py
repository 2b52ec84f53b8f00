"""Layers' trees planted by hand, from the same items as their tars, and what a directory looks like.

Rule: nothing here uses Headway's own code, so that it can test it. Items must be in order: a file after its
directory, a hard link after its target.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from headway.records import LayerReport, Tree
from tests.fakes.images import Image, write_layout
from tests.fakes.tars import Item

_RECENT_SECONDS = 3600


def plant(directory: Path, *items: Item) -> Tree:
    """Make the tree of one layer in overlay2's form on disk (records, `Tree`). Root only."""
    directory.mkdir()
    directory.chmod(0o755)
    made: set[str] = set()
    implicit: dict[str, None] = {}
    links: list[tuple[str, str]] = []
    times: dict[str, int] = {}
    for item in items:
        name = os.fsdecode(item.name).strip("/").removeprefix("./")
        name = "" if name == "." else name
        parent, _, last = name.rpartition("/")
        for depth in range(1, parent.count("/") + 2 if parent else 1):
            step = "/".join(parent.split("/")[:depth])
            if step not in made:
                (directory / step).mkdir()
                made.add(step)
                implicit[step] = None
        if last == ".wh..wh..opq":
            os.setxattr(directory / parent, "trusted.overlay.opaque", b"y")
        elif last.startswith(".wh."):
            os.mknod(directory / parent / last[4:], stat.S_IFCHR, 0)
        elif item.type == "hardlink" and not os.path.lexists(directory / os.fsdecode(item.link)):
            links.append((name, os.fsdecode(item.link)))
        else:
            _plant(directory / name, item, directory)
            made.add(name)
            implicit.pop(name, None)
            times[name] = item.mtime
    for name, mtime in reversed(times.items()):
        os.utime(directory / name, (mtime, mtime), follow_symlinks=False)
    report = LayerReport(implicit=tuple(implicit), root_entry="" in made, lower_links=tuple(links))
    return Tree(path=directory, report=report)


def _plant(path: Path, item: Item, root: Path) -> None:
    if item.type == "hardlink":
        os.link(root / os.fsdecode(item.link), path, follow_symlinks=False)
        return
    kind = {"char": stat.S_IFCHR, "block": stat.S_IFBLK, "fifo": stat.S_IFIFO}.get(item.type)
    if item.type == "dir":
        path.mkdir(exist_ok=True)
    elif item.type == "symlink":
        path.symlink_to(os.fsdecode(item.link))
    elif kind is not None:
        os.mknod(path, kind, os.makedev(*item.device))
    else:
        path.write_bytes(item.body)
    os.chown(path, item.uid, item.gid, follow_symlinks=False)
    if item.type != "symlink":
        path.chmod(item.mode if item.mode >= 0 else 0o755 if item.type == "dir" else 0o644)
    for key, value in item.records.items():
        os.setxattr(path, key.removeprefix("SCHILY.xattr."), _bytes(value), follow_symlinks=False)


def nest(place: Path, name: str, depth: int, *, beside: str = "", body: bytes | None = None) -> None:
    """Make directories of one name in each other, which together may be deeper than the kernel takes a path.

    Args:
        place: Where the first one goes.
        name: What each is called.
        depth: How many there are.
        beside: The name of an empty file that lies beside each.
        body: What ``f`` in the last one holds; None for no such file.
    """
    here = os.open(place, os.O_RDONLY)
    for _ in range(depth):
        if beside:
            os.mknod(beside, dir_fd=here)
        os.mkdir(name, dir_fd=here)
        above, here = here, os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(above)
    if body is not None:
        with open(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=here), "wb") as file:
            file.write(body)
    os.close(here)


def umoci_unpack(image: Image, directory: Path) -> Path:
    """Let umoci write an image's root file system to a new directory in `directory`; return it.

    Raises:
        subprocess.CalledProcessError: umoci refuses the image.
    """
    layout = write_layout(directory / "layout", image)
    target = directory / "umoci"
    command = ["umoci", "raw", "unpack", "--image", f"{layout}:{image.tag}", str(target)]
    subprocess.run(command, check=True, capture_output=True)
    return target


def gnu_extract(archive: Path, target: Path) -> Path:
    """Let GNU tar unpack an archive into a new directory, with everything it can set; return it.

    Raises:
        AssertionError: It could not; the message is what it said.
    """
    target.mkdir()
    options = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "--same-owner", "-p", "-C", str(target)]
    done = subprocess.run(["tar", *options, "-xf", archive], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def as_overlay(root: Path) -> None:
    """Turn the whiteouts of a layer that somebody unpacked (image-spec, layer.md) into those of overlayfs."""
    for path in _below(root):
        if not path.name.startswith(".wh."):
            continue
        path.unlink()
        if path.name == ".wh..wh..opq":
            os.setxattr(path.parent, "trusted.overlay.opaque", b"y")
        elif not os.path.lexists(gone := path.with_name(path.name[4:])):
            os.mknod(gone, stat.S_IFCHR, 0)


def look(root: Path) -> dict[str, Mapping[str, object]]:
    """Return everything that can be seen of the files below `root`, the root included, by path."""
    found: dict[str, Mapping[str, object]] = {}
    names: dict[tuple[int, int], list[str]] = {}
    for path in sorted([root, *_below(root)]):
        status = path.lstat()
        name = str(path.relative_to(root))
        names.setdefault((status.st_dev, status.st_ino), []).append(name)
        found[name] = {
            "mode": oct(status.st_mode),
            "owner": (status.st_uid, status.st_gid),
            "size": None if stat.S_ISDIR(status.st_mode) else status.st_size,
            "mtime": status.st_mtime_ns,
            "device": status.st_rdev,
            "xattrs": {key: os.getxattr(path, key, follow_symlinks=False) for key in _xattrs(path)},
            "content": _content(path, status.st_mode),
            "same as": names[status.st_dev, status.st_ino],
        }
    return found


def differences(actual: Path, expected: Path) -> dict[str, tuple[object, object]]:
    """Return how two directories differ: path and field to what each has.

    A time of the last hour in `expected` says when it was made, and is not compared.
    """
    left, right = look(actual), look(expected)
    for name, facts in right.items():
        if isinstance(made := facts["mtime"], int) and time.time() - made / 1e9 < _RECENT_SECONDS and name in left:
            right[name] = {**facts, "mtime": left[name]["mtime"]}
    return {
        f"{name}: {field}": (left.get(name, {}).get(field), right.get(name, {}).get(field))
        for name in sorted({*left, *right})
        for field in ("mode", "owner", "size", "mtime", "device", "xattrs", "content", "same as")
        if left.get(name, {}).get(field) != right.get(name, {}).get(field)
    }


def _below(root: Path) -> Sequence[Path]:
    names = (Path(top, name) for top, dirs, files in os.walk(root) for name in (*dirs, *files))
    # In a directory that one layer alone has, overlayfs lists whiteouts, and then finds nothing there.
    return [path for path in names if os.path.lexists(path)]


def _xattrs(path: Path) -> list[str]:
    own = ("trusted.overlay.", "security.selinux")
    return [key for key in os.listxattr(path, follow_symlinks=False) if not key.startswith(own)]


def _content(path: Path, mode: int) -> str:
    if stat.S_ISLNK(mode):
        return os.readlink(path)
    return hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(mode) else ""


def _bytes(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


class Node(NamedTuple):
    """All that a layer says of one path; `link` is the first path with the same inode."""

    mode: str
    owner: tuple[int, int]
    mtime_ns: int
    size: int
    device: int
    content: str
    link: str
    xattrs: tuple[tuple[str, bytes], ...]


def snapshot(root: Path) -> dict[str, Node]:
    """Return every path below `root`, and ``.`` for itself, with what is there."""
    inodes: dict[int, str] = {}
    paths = [str(root)]
    for folder, directories, files in os.walk(root):
        paths += [os.path.join(folder, name) for name in [*directories, *files]]
    return {os.path.relpath(path, root): _node(path, os.path.relpath(path, root), inodes) for path in sorted(paths)}


def _node(path: str, name: str, inodes: dict[int, str]) -> Node:
    status = os.lstat(path)
    is_directory = stat.S_ISDIR(status.st_mode)
    content = ""
    if stat.S_ISLNK(status.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(status.st_mode):
        with open(path, "rb") as source:
            content = hashlib.file_digest(source, "sha256").hexdigest()
    return Node(
        mode=stat.filemode(status.st_mode),
        owner=(status.st_uid, status.st_gid),
        mtime_ns=status.st_mtime_ns,
        size=0 if is_directory else status.st_size,
        device=status.st_rdev,
        content=content,
        link="" if is_directory else inodes.setdefault(status.st_ino, name),
        xattrs=tuple(
            (key, os.getxattr(path, key, follow_symlinks=False))
            for key in sorted(os.listxattr(path, follow_symlinks=False))
        ),
    )
