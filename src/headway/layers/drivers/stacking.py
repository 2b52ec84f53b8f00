"""Trees as one mount: the kernel's overlay file system.

Rule 1: lower trees are named ``/proc/self/fd/N``: mount(2) takes one page of options, and 120 paths do not
        fit it.
Rule 2: what a tree says is a whiteout or an opaque directory and nothing else: redirects and metadata-only
        copies are switched off, because a layer's own attributes could otherwise make the kernel read files
        elsewhere.
Rule 3: device nodes of an image do not work in a mount (``nodev``, as containers/storage mounts): a runtime
        gives a container its own /dev. Programs that change their user do work, because a container's root
        file system needs them; who mounts where other users can reach it gives them those programs.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from headway.container_records import RwPlace
from headway.errors import UnsupportedError
from headway.layers.drivers import mounts
from headway.layers.drivers.mounts import MountFlag
from headway.layers.trees.copying import Copier
from headway.layers.trees.merged import MergedView
from headway.layers.trees.whiteouts import is_opaque
from headway.layers.trees.xattrs import for_a_mount, read_xattrs
from headway.paths import is_directory
from headway.records import Tree

_SAFE = "index=off,metacopy=off,redirect_dir=nofollow"
_FLAGS = MountFlag.NO_DEVICES
_MAX_TREES = 180  # whose names fit the page beside all else, with descriptors of five digits; the kernel stacks 500


def require_stackable(trees: Sequence[Tree]) -> None:
    """Refuse what cannot be stacked, before anything is made for it.

    Raises:
        UnsupportedError: Not root, or more trees than mount(2) can be told.
    """
    if os.geteuid() != 0:
        raise UnsupportedError("mounting needs root; unpack the image instead")
    if len(trees) > _MAX_TREES:
        raise UnsupportedError(f"{len(trees)} layers are more than can be mounted ({_MAX_TREES})")


def stack(trees: Sequence[Tree], target: Path) -> None:
    """Mount trees (bottom first) read-only at `target`, which is empty.

    Their root is what the layers say, though the kernel shows the topmost tree's.

    Raises:
        UnsupportedError: A kernel or file system that cannot.
        OSError: A system call failed.
    """
    if not trees:
        mounts.mount("tmpfs", str(target), _FLAGS | MountFlag.READ_ONLY, "mode=755,size=4k")
        return
    has_another_root = _has_another_root(trees)
    if has_another_root:
        mounts.mount("tmpfs", str(target), _FLAGS, "size=4k")
    try:
        with ExitStack() as opened:
            lowers = [_pin(tree.path, opened) for tree in _shown(trees)]
            if has_another_root:
                _give_root(trees, target)
                lowers.insert(0, _pin(target, opened))
            elif len(lowers) == 1:  # the kernel wants two, and the target is an empty one
                lowers.append(_pin(target, opened))
            _mount(target, _FLAGS | MountFlag.READ_ONLY, lowers)
    except BaseException:
        if has_another_root:
            mounts.unmount(str(target))
        raise


def stack_writable(trees: Sequence[Tree], place: RwPlace) -> None:
    """Mount a layer over trees; raise as `stack`.

    On the first mount, when `work` is still empty, the root directory of `upper` becomes what the trees' root is;
    later it is the container's own.
    """
    if not is_directory(place.work):  # as `merged`: what `upper` says of the root is the container's own
        place.work.mkdir(mode=0o755)
    elif not os.listdir(place.work):  # the kernel leaves something there
        _give_root(trees, place.upper)
    with ExitStack() as opened:
        lowers = [_pin(tree.path, opened) for tree in _shown(trees)] or [_pin(place.merged, opened)]
        layer = f"upperdir={_pin(place.upper, opened)},workdir={_pin(place.work, opened)}"
        _mount(place.merged, _FLAGS, lowers, layer)


def _mount(target: Path, flags: MountFlag, lowers: Sequence[str], *options: str) -> None:
    try:
        mounts.mount("overlay", str(target), flags, ",".join([f"lowerdir={':'.join(lowers)}", *options, _SAFE]))
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.EPERM):
            raise UnsupportedError(f"the kernel does not mount overlay file systems: {error.strerror}") from error
        if error.errno == errno.EINVAL:
            raise UnsupportedError(
                f"the file system of {target} does not carry overlay mounts (the kernel's log says more)"
            ) from error
        raise


def _shown(trees: Sequence[Tree]) -> list[Tree]:
    """Return the trees to stack, topmost first, down to one with an opaque root: the kernel looks at none.

    A tree that is there twice, as a layer can be in an image, is stacked where it is topmost: there it hides all that
    it would show further down, and the kernel takes no directory twice.
    """
    shown: list[Tree] = []
    for tree in {tree.path: tree for tree in trees[::-1]}.values():
        shown.append(tree)
        if is_opaque(tree.path):
            break
    return shown


def _pin(path: Path, opened: ExitStack) -> str:
    """Return a short name for a directory, good until `opened` is closed."""
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    opened.callback(os.close, descriptor)
    return f"/proc/self/fd/{descriptor}"


def _has_another_root(trees: Sequence[Tree]) -> bool:
    """Tell whether the topmost tree's root, which the kernel shows, is not what the layers say of theirs."""
    with MergedView(trees) as view:
        wanted, shown = view.root(), os.stat(trees[-1].path)
        if (wanted.mode, wanted.uid, wanted.gid) != (shown.st_mode, shown.st_uid, shown.st_gid):
            return True
        return view.xattrs(wanted) != read_xattrs(str(trees[-1].path))


def _give_root(trees: Sequence[Tree], directory: Path) -> None:
    """Make `directory` look as the root of the merged trees, as far as a directory can."""
    with MergedView(trees) as view:
        root = view.root()
        os.chown(directory, root.uid, root.gid)
        os.chmod(directory, stat.S_IMODE(root.mode))
        Copier().set_xattrs(".", str(directory), for_a_mount(view.xattrs(root)))
    os.utime(directory, ns=(root.mtime_ns, root.mtime_ns))
