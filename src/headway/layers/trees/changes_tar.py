"""What a read-write layer has changed, as a layer's tar: what `docker commit` makes of it.

Rule 1: a deletion is a whiteout beside its siblings (image-spec, layer.md); there are no opaque directories.
Rule 2: the same changes give the same bytes: in order of the names' bytes, whiteouts without a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from headway.container_records import Change, ChangeKind
from headway.layers.failures import disk_failures
from headway.layers.tar.entry import FILE, Entry
from headway.layers.tar.writer import Member, archive
from headway.layers.trees.directories import Directories
from headway.layers.trees.files import LeftOut
from headway.layers.trees.members import TreeMembers
from headway.layers.trees.whiteouts import WHITEOUT

_MODE = 0o600


def changes_archive(changes: Iterable[Change], root: Path) -> Iterator[bytes]:
    """Yield the tar of a layer that makes these changes, in large pieces.

    Args:
        changes: What was changed, every directory above it included (`changes.compare`).
        root: The container's root directory, mounted, from which nothing but the changes is read.

    Raises:
        StoreError: The disk failed.
    """
    with disk_failures(str(root)), Directories([root], os.O_PATH) as directories:
        yield from archive(_members(changes, directories))


def _members(changes: Iterable[Change], directories: Directories) -> Iterator[Member]:
    tree = TreeMembers(directories)
    for change in sorted(changes, key=lambda change: os.fsencode(change.path)):
        path = os.fsencode(change.path.removeprefix("/"))
        if change.kind is ChangeKind.DELETED:
            yield _whiteout(path), ()
            continue
        member = None
        with LeftOut():
            member = tree.one(path, path)
        if member is not None:
            yield member


def _whiteout(path: bytes) -> Entry:
    above, slash, name = path.rpartition(b"/")
    return Entry(above + slash + WHITEOUT + name, FILE, _MODE, 0, 0, 0, 0, b"")
