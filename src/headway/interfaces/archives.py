"""Archives of images: reading their files, writing them, and the exact tars of layers that go into them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeAlias

from headway.oci.digest import DiffID


class ArchivedFile(Protocol):
    """One file of an archive, usable until the next one is taken; it is an `interfaces.files.TarSource`.

    Attributes:
        name: Its path in the archive, normalised (`headway.oci.archive_names.clean_name`).
        size: Its length in bytes; 0 for a link.
        link: The path that a link leads to; empty for a regular file.
    """

    name: str
    size: int
    link: str

    def read(self, limit: int) -> bytes:
        """Return the next 1 to `limit` bytes, ``b""`` at the end. Bytes that are not read are skipped.

        Raises:
            InvalidArchiveError: The archive is broken or cut short.
            StoreError: It cannot be read.
        """


class Archive(Protocol):
    """The files of an archive. One that can be read in any order yields its small files first.

    Attributes:
        documents_first: Whether all documents come before all layers; otherwise a late document may change what the
            files before it mean.
    """

    documents_first: bool

    def files(self) -> Iterator[ArchivedFile]:
        """Yield each file and link, once.

        Raises:
            InvalidArchiveError: While iterating: it is broken, cut short, or leads out of itself.
            StoreError: While iterating: it cannot be read.
        """


FileToWrite: TypeAlias = tuple[str, int, Iterable[bytes]]
"""A file that goes into an archive: name, length in bytes, and content."""


class WriteArchive(Protocol):
    """Writes archives."""

    def __call__(self, files: Iterable[FileToWrite]) -> Iterator[bytes]:
        """Yield the bytes of an archive of `files`, in their order. Errors raised by their contents pass through."""


class LayerTars(Protocol):
    """Layers' exact tars, made from their trees and recipes."""

    def size(self, diff_id: DiffID) -> int | None:
        """Return the length of a layer's tar in bytes; None where it cannot be made, for want of a recipe.

        Raises:
            StoreCorruptError: The recipe is damaged.
            StoreError: The disk failed.
        """

    def pieces(self, diff_id: DiffID) -> Iterator[bytes]:
        """Yield a layer's tar piece by piece. It is verified at the end: only then are the pieces known to be right.

        Raises:
            StoreCorruptError: While iterating: tree and recipe make another tar.
            StoreError: While iterating: the disk failed.
        """
