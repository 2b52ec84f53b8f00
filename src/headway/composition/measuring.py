"""Opens a data root for `headway df`: its records, and how much disk space everything takes."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager

from headway.composition.boot import boot_id
from headway.composition.read_only import read_only
from headway.composition.reading import records_of
from headway.interfaces.usage import DiskUsage
from headway.service.stores import Records
from headway.settings import Settings
from headway.store.data_root import DataRoot
from headway.store.space.litter import litter_bytes
from headway.store.space.usage import SqliteUsage


@contextmanager
def measuring(settings: Settings, *, held: Container[str] = ()) -> Iterator[tuple[Records, DiskUsage]]:
    """Open a data root for questions about images and the space they take; it needs no lock.

    Args:
        settings: Says where it is.
        held: `Leases.held` of the process that has it open for writing: the content of those leases is in use.

    Raises:
        StoreError: It cannot be read.
    """
    with read_only(settings) as (root, database):
        yield records_of(root, database), SqliteUsage(root, database, held, litter=litter_bytes(root, boot_id()))


def litter(settings: Settings) -> int:
    """Return what a killed process has left in ``tmp/``, in bytes: any prune removes it.

    Raises:
        StoreError: The disk failed.
    """
    return litter_bytes(DataRoot(settings.data_root), boot_id())
