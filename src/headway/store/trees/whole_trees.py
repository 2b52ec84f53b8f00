"""Notes beside private trees that are whole: after a kill, the next start commits such a layer without fetching it.

Rule 1: during one boot the kernel has every byte that was written, synced or not; after a power cut a note proves
        nothing, so it names its boot (as an ingest's journal does, ADR 0006).
Rule 2: the note is written after the tree and removed before it: a tree that is being removed has none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from headway.errors import InvalidDigestError, StoreFullError
from headway.oci.digest import DiffID, Digest
from headway.records import LayerReport
from headway.store.data_root import DataRoot
from headway.store.failures import disk_errors

_SUFFIX = ".whole"


class WholeTree(msgspec.Struct, frozen=True):
    """A tree that was whole when its process ended.

    Attributes:
        path: The private directory.
        diff_id: The layer.
        report: What was found out about it.
    """

    path: Path
    diff_id: DiffID
    report: LayerReport


def note_beside(directory: Path) -> Path:
    """Return where the note on a private directory lies."""
    return directory.with_name(f"{directory.name}{_SUFFIX}")


def write_note(whole: WholeTree, boot_id: str) -> bool:
    """Note that a tree is whole; tell whether there was room for that.

    Raises:
        StoreError: The disk failed.
    """
    note = note_beside(whole.path)
    # json escapes the lone surrogates of odd names, which msgspec refuses.
    text = json.dumps([boot_id, whole.diff_id, msgspec.to_builtins(whole.report)])
    try:
        with disk_errors(note):
            note.write_text(text)
    except StoreFullError:
        note.unlink(missing_ok=True)
        return False
    return True


def drop_note(directory: Path) -> None:
    """Remove the note on a private directory, where there is one.

    Raises:
        StoreError: The disk failed.
    """
    with disk_errors(directory):
        note_beside(directory).unlink(missing_ok=True)


def whole_trees(root: DataRoot, boot_id: str) -> Iterator[WholeTree]:
    """Yield what an earlier process of this boot has noted and not committed."""
    with disk_errors(root.tmp):
        notes = [name for name in os.listdir(root.tmp) if name.endswith(_SUFFIX)]
    for name in notes:
        # Cut short, or of another version: then the tree's blob is still here.
        with suppress(OSError, ValueError, msgspec.ValidationError, InvalidDigestError):
            note = json.loads((root.tmp / name).read_text())
            noted, diff_id, report = msgspec.convert(note, tuple[str, str, LayerReport])
            if noted == boot_id:
                yield WholeTree(root.tmp / name.removesuffix(_SUFFIX), DiffID(Digest.parse(diff_id)), report)
