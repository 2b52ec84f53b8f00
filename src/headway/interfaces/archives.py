"""Archives of images: what is read from one, and where layers' exact tars come from for writing one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeAlias

from headway.oci.digest import DiffID


class ArchivedFile(Protocol):
    """One file of an archive, until the next one is asked for; it is an `interfaces.files.TarSource`.

    Attributes:
        name: Without what changes nothing (`headway.oci.archive_names.clean_name`).
        size: Its length in bytes; 0 for a link.
        link: The file that it is another name of; empty where it is a file itself.
    """

    name: str
    size: int
    link: str

    def read(self, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes, nothing at the end; what is not read is passed over.

        Raises:
            InvalidArchiveError: The archive is broken or cut short.
            StoreError: It cannot be read.
        """


class Archive(Protocol):
    """The files of an archive. What can be read in any order gives its small ones first.

    Attributes:
        documents_first: Whether it does, so that nothing that comes late says more of what has come.
    """

    documents_first: bool

    def files(self) -> Iterator[ArchivedFile]:
        """Yield each file and link, once.

        Raises:
            InvalidArchiveError: While iterating: it is broken, cut short, or leads out of itself.
            StoreError: While iterating: it cannot be read.
        """


FileToWrite: TypeAlias = tuple[str, int, Iterable[bytes]]
"""Name, length in bytes, and content, of a file that goes into an archive."""


class WriteArchive(Protocol):
    """Writes archives."""

    def __call__(self, files: Iterable[FileToWrite]) -> Iterator[bytes]:
        """Yield an archive of `files` in their order; what they raise, it raises."""


class LayerTars(Protocol):
    """Layers' exact tars, made from their trees and recipes."""

    def size(self, diff_id: DiffID) -> int | None:
        """Return the length of a layer's tar in bytes; None where it cannot be made: there is no recipe.

        Raises:
            StoreCorruptError: The recipe is damaged.
            StoreError: The disk failed.
        """

    def pieces(self, diff_id: DiffID) -> Iterator[bytes]:
        """Yield a layer's tar; that it was right is known when the last piece was followed by no error.

        Raises:
            StoreCorruptError: While iterating: tree and recipe make another tar.
            StoreError: While iterating: the disk failed.
        """
