"""Unpacks an archive into an existing root file system, as `docker cp` does (moby-behaviour 6.20).

Rule: as for a layer, nothing outside is touched, and an archive that contradicts itself is an `InvalidLayerError`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from headway.errors import ConflictingKindError, NotFoundError
from headway.layers.rootfs.files import RootfsFiles
from headway.layers.tar.entry import DIRECTORY, HARDLINK, Entry, refused
from headway.layers.tar.reader import TarReader
from headway.layers.trees.confinement import clamped
from headway.layers.unpacking.applier import unpacking
from headway.layers.unpacking.unpacker import Unpacker


def extract(
    pieces: Iterable[bytes],
    root: Path,
    inside: bytes,
    *,
    keep_kinds: bool = False,
    owner: tuple[int, int] | None = None,
) -> None:
    """Unpack an archive below a directory of a root file system.

    Args:
        pieces: The archive, not compressed.
        root: Directory of the root file system; nobody else may remove things in it meanwhile.
        inside: Path of a directory in it, from the root; its last component is not a symlink.
        keep_kinds: Whether to refuse to replace a directory by another kind of file, or the reverse.
        owner: UID and GID for every entry; None keeps the archive's owners.

    Raises:
        ConflictingKindError: `keep_kinds` forbids an entry; the entries before it have been unpacked.
        InvalidLayerError: The archive is broken.
        StoreFullError: No space left.
        StoreError: The disk failed.
    """
    reader = TarReader(pieces)
    opened = partial(Unpacker, root, rootless=os.geteuid() != 0, openat2=None, layer=False)
    with unpacking(opened, root) as unpacker, RootfsFiles(root) as files:
        while (entry := reader.next()) is not None:
            if clamped(entry.name):  # the directory itself stays as it is, as in Docker
                _place(entry, inside)
                entry.uid, entry.gid = owner or (entry.uid, entry.gid)
                if keep_kinds:
                    _check_kind(entry, files, inside)
                unpacker.add(entry, reader)
        report = unpacker.finish(reader.entries)
    if report.lower_links:
        link, target = report.lower_links[0]
        raise refused(os.fsencode(link), f"it is a hard link to {target!r}, which is not there")


def _place(entry: Entry, inside: bytes) -> None:
    """Move an entry, and the target of a hard link, below the directory to unpack into."""
    entry.name = inside + b"/" + clamped(entry.name)
    if entry.kind == HARDLINK:
        entry.linkname = inside + b"/" + clamped(entry.linkname)


def _check_kind(entry: Entry, files: RootfsFiles, inside: bytes) -> None:
    path = os.fsdecode(b"/" + entry.name.strip(b"/"))
    try:
        is_directory = stat.S_ISDIR(files.stat(path).mode)
    except NotFoundError:
        return
    if is_directory != (entry.kind == DIRECTORY):
        there, new = ("directory", "non-directory") if is_directory else ("non-directory", "directory")
        into = os.fsdecode(b"/" + inside.strip(b"/"))
        raise ConflictingKindError(f'cannot overwrite {there} "{path}" with {new} "{into}"')
