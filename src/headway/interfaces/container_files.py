"""Files inside a root file system that is mounted, or is a directory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from headway.container_records import Change, FileStat
from headway.interfaces.files import TarSource


class FileAccess(Protocol):
    """Reads and writes files by the paths that the root file system's own processes use; nothing outside is touched."""

    def stat(self, root: Path, path: str) -> FileStat:
        """Return what is at `path`; a trailing slash follows a symlink.

        Raises:
            NotFoundError: There is nothing.
            InvalidPathError: The path is not valid.
            StoreError: It cannot be read.
        """

    def archive(self, root: Path, path: str) -> Iterator[bytes]:
        """Yield a tar archive of what is at `path` and below it; errors as in `stat`, before the first byte.

        An empty path stands for all that is in the root, without an entry for the root itself.
        """

    def changes(self, root: Path, changes: Iterable[Change]) -> Iterator[bytes]:
        """Yield the tar of a layer that makes these changes; the same changes give the same bytes.

        Raises:
            StoreError: While iterating: it cannot be read.
        """

    def make_directory(self, root: Path, path: str) -> None:
        """Make a directory at `path` and its missing parents, owned by root, mode 0755; existing ones stay unchanged.

        Raises:
            NotADirectoryPathError: Something on the way is no directory.
            InvalidPathError: It cannot be a path.
            StoreError: The disk failed.
        """

    def extract(
        self,
        root: Path,
        path: str,
        source: TarSource,
        *,
        keep_kinds: bool = False,
        owner: tuple[int, int] | None = None,
    ) -> None:
        """Unpack a tar archive, compressed in any way, into the directory at `path`.

        Args:
            root: Root of the file system.
            path: A directory.
            source: The archive.
            keep_kinds: Whether to forbid that a directory replaces something else, or something else a directory.
            owner: Owner of everything unpacked; None keeps the archive's owners.

        Raises:
            NotFoundError: Nothing is at `path`.
            NotADirectoryPathError: It is no directory.
            ConflictingKindError: `keep_kinds` forbids it.
            InvalidLayerError: The archive is broken.
            StoreError: The disk failed.
        """
