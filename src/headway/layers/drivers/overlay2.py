"""Docker's overlay2: image layers as lower trees, a container's layer as the upper one (`stacking`)."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from headway.container_records import Change, RwPlace
from headway.errors import ConflictError, StoreError, UnsupportedError
from headway.layers.drivers import mounts, quota
from headway.layers.drivers.measuring import gives_types, kind_of, size_of
from headway.layers.drivers.stacking import require_stackable, stack, stack_writable
from headway.layers.failures import disk_failures
from headway.layers.trees.changes import compare
from headway.layers.trees.merged import MergedView
from headway.records import LayerReport, Tree

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
            UnsupportedError: Not root, more than 180 trees, or a kernel or file system that cannot.
            StoreError: The kernel refused for another reason.
        """
        require_stackable(trees)
        with disk_failures(str(target)):
            _require_empty(target)
            stack(trees, target)

    def mount_rw(self, place: RwPlace, trees: Sequence[Tree]) -> None:
        """Mount a layer over `trees`; its `merged` and `work` may be missing.

        Raises:
            HeadwayError: As `mount`.
        """
        require_stackable(trees)
        with disk_failures(str(place.merged)):
            place.merged.mkdir(mode=0o755, exist_ok=True)  # it is empty, and copies of data roots leave such out
            _require_empty(place.merged)
            stack_writable(trees, place)

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


def _require_empty(target: Path) -> None:
    if os.listdir(target):
        raise ConflictError(f"{target} is not empty")
