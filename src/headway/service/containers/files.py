"""Reads and writes the files of containers, for `docker cp` and `docker export` (moby-behaviour 6.19, 6.20).

Rule 1: a container's file system is mounted only while it is read or written.
Rule 2: everything blocks, and whoever asks for a generator exhausts or closes it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from headway.container_records import ContainerRecord, FileStat
from headway.errors import InvalidLayerError, NotFoundError
from headway.interfaces.container_files import FileAccess
from headway.interfaces.files import TarSource
from headway.service.containers.containers import tell_of
from headway.service.stores import Stores


class ContainerFiles:
    """Reads and writes containers' files.

    Args:
        stores: Where containers and their layers are.
        access: Reaches into a mounted file system.
    """

    def __init__(self, stores: Stores, access: FileAccess) -> None:
        self._stores = stores
        self._access = access

    def stat(self, word: str, path: str) -> FileStat:
        """Return what is at a path in a container.

        Raises:
            NotFoundError: There is no such container, or nothing at the path.
            InvalidPathError: The path is not valid.
            StoreError: The disk failed, or the file system cannot be mounted.
        """
        container = self._stores.containers.get(word)
        with self._mounted(container) as root, _named(path, word):
            return self._access.stat(root, path)

    def archive(self, word: str, path: str) -> Iterator[bytes]:
        """Yield a tar archive of what is at a path in a container; errors as in `stat`."""
        container = self._stores.containers.get(word)
        with self._mounted(container) as root, _named(path, word):
            tell_of(self._stores, "archive-path", container)
            yield from self._access.archive(root, path)

    def export(self, word: str) -> Generator[bytes, None, None]:
        """Yield a tar archive of a container's whole file system, without its root; errors as in `stat`."""
        container = self._stores.containers.get(word)
        with self._mounted(container) as root:
            tell_of(self._stores, "export", container)
            yield from self._access.archive(root, "")

    def make_directory(self, word: str, path: str) -> None:
        """Make a directory in a container where there is none; see `FileAccess.make_directory`."""
        with self._mounted(self._stores.containers.get(word)) as root:
            self._access.make_directory(root, path)

    def extract(
        self, word: str, path: str, source: TarSource, *, keep_kinds: bool, owner: tuple[int, int] | None = None
    ) -> None:
        """Unpack a tar archive into a directory of a container; see `FileAccess.extract`."""
        container = self._stores.containers.get(word)
        with self._mounted(container) as root, _named(path, word), _of_an_archive():
            self._access.extract(root, path, source, keep_kinds=keep_kinds, owner=owner)
            tell_of(self._stores, "extract-to-dir", container)

    @contextmanager
    def _mounted(self, container: ContainerRecord) -> Iterator[Path]:
        layer = self._stores.rw_layers.get(container.container_id)
        root = layer.mount()
        try:
            yield root
        finally:
            layer.unmount()


@contextmanager
def _named(path: str, word: str) -> Iterator[None]:
    """Name the container in the error about a missing file, in Docker's words."""
    try:
        yield
    except NotFoundError as error:
        raise FileNotThereError(path, word) from error


@contextmanager
def _of_an_archive() -> Iterator[None]:
    """Report a broken tar as a broken archive: a client sent it, and it is no layer."""
    try:
        yield
    except InvalidLayerError as error:
        raise InvalidLayerError(str(error).replace("broken layer", "broken archive", 1)) from error


class FileNotThereError(NotFoundError):
    """There is nothing at a path in a container (moby-behaviour 6.20)."""

    def __init__(self, path: str, container: str) -> None:
        super().__init__("file", path)
        self.args = (f"Could not find the file {path} in container {container}",)
