"""Builds the object graph for a data root, by plain constructor calls. It knows no HTTP server and no command line."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headway.interfaces import (
    BlobStore,
    HostMemory,
    ImageStore,
    IngestStore,
    LayerReport,
    LayerStore,
    ReferenceStore,
    TarSource,
    Transaction,
    Tree,
)
from headway.oci.digest import DiffID
from headway.service.delete import Deleter
from headway.service.images import Images
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

if TYPE_CHECKING:
    from headway.service.pull import Puller


class Store(msgspec.Struct, frozen=True):
    """Everything below one data root."""

    blobs: BlobStore
    ingests: IngestStore
    layers: LayerStore
    images: ImageStore
    references: ReferenceStore
    hosts: HostMemory
    transaction: Transaction

    def finder(self) -> Images:
        """Return what answers questions about the images."""
        return Images(self.images, self.references, self.blobs, self.layers)

    def deleter(self) -> Deleter:
        """Return what removes images."""
        return Deleter(self.images, self.references, self.blobs, self.layers, self.transaction)


@contextmanager
def reading(settings: Settings) -> Iterator[Store]:
    """Open a data root for questions; it needs no lock, and one that does not exist yet is empty.

    Raises:
        StoreError: It cannot be read.
    """
    root = DataRoot(settings.data_root)
    with Database.open_readonly(root.database) as database:
        yield _store(root, database)


@contextmanager
def writing(settings: Settings) -> Iterator[Store]:
    """Open a data root for changes, alone, and put right what a crash has left.

    Raises:
        StoreBusyError: Another process is writing.
        StoreReadOnlyError: It cannot be written.
        StoreError: It belongs to another engine, or the disk failed.
    """
    root = DataRoot(settings.data_root)
    root.create()
    with WriterLock(root.lock), Database.open(root.database) as database:
        recover(root, database)
        yield _store(root, database)


def _store(root: DataRoot, database: Database) -> Store:
    blobs = FileBlobStore(root)
    return Store(
        blobs=blobs,
        ingests=FileIngestStore(root, boot_id=_boot_id()),
        layers=SqliteLayerStore(root, database, derive=_derive),
        images=SqliteImageStore(database),
        references=SqliteReferenceStore(database),
        hosts=SqliteHostMemory(database),
        transaction=database.transaction,
    )


def _derive(lower: Sequence[Tree], raw: Tree, target: Path) -> LayerReport:
    from headway.layers.derive import derive_tree  # noqa: PLC0415  # few layers need it, and lists must start fast

    return derive_tree(lower, raw, target)


def _apply(source: TarSource, directory: Path, progress: Callable[[int], None]) -> tuple[DiffID, LayerReport]:
    from headway.layers.applier import apply_layer  # noqa: PLC0415  # only pulls need it
    from headway.layers.umask import unshare_umask  # noqa: PLC0415

    unshare_umask()  # the thread is this layer's own
    return apply_layer(source, directory, progress)


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@asynccontextmanager
async def pulling(settings: Settings, store: Store) -> AsyncIterator[Puller]:
    """Give a puller over an open store; its transfers end with the block."""
    # Imported here: what only asks questions must not pay for the network.
    from headway.distribution.backoff import RetryPolicy  # noqa: PLC0415
    from headway.distribution.flow import LinkMemory  # noqa: PLC0415
    from headway.registry.client import RegistryClient  # noqa: PLC0415
    from headway.registry.credentials import AuthFiles, auth_files  # noqa: PLC0415
    from headway.registry.http import HttpClient  # noqa: PLC0415
    from headway.service.blob_transfer import Tools  # noqa: PLC0415
    from headway.service.lanes import Lanes  # noqa: PLC0415
    from headway.service.pull import Puller, Stores  # noqa: PLC0415
    from headway.service.single_flight import SingleFlight  # noqa: PLC0415
    from headway.service.slots import Slots  # noqa: PLC0415
    from headway.service.transfer import Transfers  # noqa: PLC0415

    policy = RetryPolicy(settings.max_download_attempts, settings.download_patience)
    http = HttpClient(user_agent=f"headway/{VERSION}")
    lanes = Lanes()
    tools = Tools(
        registry=RegistryClient(http, AuthFiles(auth_files(os.environ, Path.home()))),
        lanes=lanes,
        memory=LinkMemory(),
        policy=lambda: policy,
        clock=time.monotonic,
        jitter=random.random,
    )
    try:
        async with asyncio.TaskGroup() as group:
            transfers = Transfers(
                tools=tools,
                ingests=store.ingests,
                blobs=store.blobs,
                layers=store.layers,
                applier=_apply,
                slots=Slots(settings.max_concurrent_downloads),
                layer_flights=SingleFlight(group),
                blob_flights=SingleFlight(group),
            )
            yield Puller(
                tools,
                transfers,
                Stores(
                    blobs=store.blobs,
                    ingests=store.ingests,
                    layers=store.layers,
                    images=store.images,
                    references=store.references,
                    hosts=store.hosts,
                    transaction=store.transaction,
                ),
            )
    finally:
        http.close()
        lanes.close()
