"""What lies below a data root, opened for changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from headway.composition.reading import derived
from headway.service.stores import Stores
from headway.settings import Settings
from headway.store.blobs import FileBlobStore
from headway.store.data_root import DataRoot
from headway.store.database import Database
from headway.store.hosts import SqliteHostMemory
from headway.store.images import SqliteImageStore
from headway.store.ingests import FileIngestStore
from headway.store.layers import SqliteLayerStore
from headway.store.lock import WriterLock
from headway.store.recovery import recover
from headway.store.references import SqliteReferenceStore
from headway.version import VERSION


@contextmanager
def writing(settings: Settings, tell: Callable[[str], None]) -> Iterator[Stores]:
    """Open a data root for changes, alone, and put right what a crash has left.

    Args:
        settings: Says where it is.
        tell: Takes a sentence for the user about what is lost.

    Raises:
        StoreBusyError: Another process is writing.
        StoreReadOnlyError: It cannot be written.
        StoreError: It belongs to another engine, or the disk failed.
    """
    root = DataRoot(settings.data_root)
    root.create()
    with WriterLock(root.lock), Database.open(root.database, program=VERSION) as database:
        for lost in recover(root, database).lost_images:
            names = ", ".join(lost.names) or "no name"
            tell(f"image {lost.image_id.short} ({names}) was damaged on disk and is gone; pull it again")
        yield _store(root, database)


def _store(root: DataRoot, database: Database) -> Stores:
    return Stores(
        blobs=FileBlobStore(root),
        ingests=FileIngestStore(root, boot_id=_boot_id()),
        layers=SqliteLayerStore(root, database, derive=derived),
        images=SqliteImageStore(database),
        references=SqliteReferenceStore(database),
        hosts=SqliteHostMemory(database),
        transaction=database.transaction,
    )


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
