"""Trees stacked by the kernel's overlay file system.

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
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from headway.container_records import Change, RwPlace
from headway.errors import ConflictError, StoreError, UnsupportedError
from headway.layers import mounts, quota
from headway.layers.changes import compare
from headway.layers.copying import Copier
from headway.layers.drivers.measuring import gives_types, kind_of, size_of
from headway.layers.failures import disk_failures
from headway.layers.merged import MergedView
from headway.layers.mounts import MountFlag
from headway.layers.whiteouts import is_opaque
from headway.layers.xattrs import for_a_mount, read_xattrs
from headway.paths import is_directory
from headway.records import LayerReport, Tree

_SAFE = "index=off,metacopy=off,redirect_dir=nofollow"
_FLAGS = MountFlag.NO_DEVICES
_MAX_TREES = 500  # the kernel's own limit
# Others' quotas do not bind who has CAP_SYS_RESOURCE.
_QUOTA_KIND = "xfs"
_NO_QUOTA = "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"


class Overlay2Driver:
    """Mounts trees as one file system without copying them. Root only.

    A mount lives in the kernel until `unmount` or the next boot; it holds the trees, which must not be
    removed meanwhile. Concurrent calls for different targets do not disturb each other.
    """

    name = "overlay2"

    def supported(self, path: Path) -> str | None:
        """Return why trees below `path` cannot be mounted, None where they can; it mounts a tiny one to see.

        Raises:
            StoreError: Nothing can be written at `path`.
        """
        if os.geteuid() != 0:
            return "mounting needs root"
        with disk_failures(str(path)), tempfile.TemporaryDirectory(prefix="probe-", dir=path) as probe:
            lower, place = Path(probe, "lower"), RwPlace(Path(probe))
            for directory in (lower, place.upper, place.work):
                directory.mkdir()
            try:
                self.mount_rw(place, [Tree(path=lower, report=LayerReport())])
            except (StoreError, UnsupportedError) as error:
                return str(error)
            self.unmount(place.merged)
        return None

    def status(self, path: Path) -> list[tuple[str, str]]:
        """Return what Docker 28 tells of it, in its order."""
        with disk_failures(str(path)):
            return [
                ("Backing Filesystem", kind_of(path)),
                ("Supports d_type", "true" if gives_types(path) else "false"),
                ("Using metacopy", "false"),
                ("Native Overlay Diff", "true"),
                ("userxattr", "false"),
            ]

    def mount(self, trees: Sequence[Tree], target: Path) -> None:
        """Mount `trees` (bottom first) at `target`, an empty directory, read-only.

        Raises:
            ConflictError: `target` is not empty.
            UnsupportedError: Not root, more than 500 trees, or a kernel or file system that cannot.
            StoreError: The kernel refused for another reason.
        """
        _require_stackable(trees)
        with disk_failures(str(target)):
            _require_empty(target)
            if trees:
                _stack(trees, target)
            else:
                mounts.mount("tmpfs", str(target), _FLAGS | MountFlag.READ_ONLY, "mode=755,size=4k")

    def mount_rw(self, place: RwPlace, trees: Sequence[Tree]) -> None:
        """Mount a layer over `trees`; its `merged` and `work` may be missing.

        On the first mount, when `work` is still empty, the root directory of `upper` becomes what the trees' root is;
        later it is the container's own.

        Raises:
            HeadwayError: As `mount`.
        """
        _require_stackable(trees)
        with disk_failures(str(place.merged)):
            place.merged.mkdir(mode=0o755, exist_ok=True)  # it is empty, and copies of data roots leave such out
            _require_empty(place.merged)
            _stack_writable(trees, place)

    def unmount(self, target: Path) -> None:
        """Undo `mount`; nothing happens where nothing of Headway's is mounted.

        Raises:
            ConflictError: Something in it is in use, or somebody has mounted something over it.
            StoreError: The kernel refused.
        """
        with disk_failures(str(target)):
            while mounts.SOURCE in (sources := mounts.sources(str(target))):
                if sources[-1] != mounts.SOURCE:
                    raise ConflictError(f"{target} is in use: something else is mounted over it")
                try:
                    mounts.unmount(str(target))
                except OSError as error:
                    if error.errno != errno.EBUSY:
                        raise
                    raise ConflictError(f"{target} is in use") from error

    def is_mounted(self, target: Path) -> bool:
        """Tell whether something of Headway's is mounted at `target`, be it below what others have mounted there."""
        with disk_failures(str(target)):
            return mounts.SOURCE in mounts.sources(str(target))

    def create(self, place: RwPlace, trees: Sequence[Tree], options: Mapping[str, str]) -> None:
        """Make the directories of a read-write layer; the only option is ``size``, where there are project quotas.

        Raises:
            UnsupportedError: Another option, or a file system without project quotas.
            StoreFullError: No space left.
            StoreError: The disk failed.
        """
        size = self._size(place, options)
        with disk_failures(str(place.path)):
            if size:
                quota.limit(place.path, size)
            for directory in (place.upper, place.work, place.merged):
                directory.mkdir(mode=0o755)

    def _size(self, place: RwPlace, options: Mapping[str, str]) -> int:
        size = 0
        for key, value in options.items():
            if key.lower() != "size":
                raise UnsupportedError(f"Unknown option {key}")
            size = quota.parse_size(value)
        if options and not (mounts.file_system(str(place.path)) == _QUOTA_KIND and quota.is_enforced(place.path)):
            raise UnsupportedError(_NO_QUOTA)
        return size

    def changes(self, place: RwPlace, trees: Sequence[Tree], *, written: bool = False) -> list[Change]:
        """Return how the layer differs from what is below it; only what lies in its own tree is looked at.

        With `written`, everything in that counts.

        Raises:
            StoreError: The disk failed.
        """
        upper = Tree(path=place.upper, report=LayerReport(root_entry=True))
        with MergedView(trees) as below, MergedView([*trees, upper]) as above:
            return compare(below, above, shared=len(trees), written=written)

    def size(self, place: RwPlace, trees: Sequence[Tree]) -> int:
        """Return the sum of the sizes of what was written, directories aside, hard links once.

        Raises:
            StoreError: The disk failed.
        """
        with disk_failures(str(place.upper)):
            return size_of(place.upper)

    def metadata(self, place: RwPlace, trees: Sequence[Tree]) -> dict[str, str]:
        """Return the layer's directories; ``LowerDir`` is what a mount takes: topmost first, colons between."""
        data = {"MergedDir": str(place.merged), "UpperDir": str(place.upper), "WorkDir": str(place.work)}
        lower = ":".join(dict.fromkeys(str(tree.path) for tree in reversed(trees)))
        return {"LowerDir": lower, **data} if lower else data


def _require_stackable(trees: Sequence[Tree]) -> None:
    if os.geteuid() != 0:
        raise UnsupportedError("mounting needs root; unpack the image instead")
    if len(trees) > _MAX_TREES:
        raise UnsupportedError(f"{len(trees)} layers are more than the kernel stacks ({_MAX_TREES})")


def _require_empty(target: Path) -> None:
    if os.listdir(target):
        raise ConflictError(f"{target} is not empty")


def _stack(trees: Sequence[Tree], target: Path) -> None:
    """Mount trees read-only. Their root is what the layers say, though the kernel shows the topmost tree's."""
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


def _stack_writable(trees: Sequence[Tree], place: RwPlace) -> None:
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
