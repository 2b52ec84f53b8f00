"""What a process that was killed has left in ``tmp/``: the next writer removes it.

Rule: while somebody writes, what lies there is that process's, and no litter.
"""

from __future__ import annotations

from headway.records import recipe_beside
from headway.store.data_root import DataRoot
from headway.store.lock import holder
from headway.store.space.blocks import freed_by, freed_inside
from headway.store.trees.whole_trees import note_beside, whole_trees


def litter_bytes(root: DataRoot, boot_id: str) -> int:
    """Return what removing litter would free, in bytes; what the next writer commits (`take_up`) is none.

    Raises:
        StoreError: The disk failed.
    """
    total = freed_inside(root.tmp)
    if not total or holder(root.lock) is not None:
        return 0
    kept = (whole.path for whole in whole_trees(root, boot_id))
    return total - freed_by(*(own for path in kept for own in (path, note_beside(path), recipe_beside(path))))
