"""Imports a tar from a web server while it arrives: `docker import URL` (moby-behaviour 6.7).

Rule 1: if the server states the file's length and version, the bytes that arrive are kept like a layer's blob: a cut,
        a kill or a client that leaves costs only time.
Rule 2: otherwise the file has to come in one go, and a cut ends the import.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future as Verdict
from functools import partial

import msgspec

from headway.distribution.endpoints import Endpoint
from headway.distribution.web_file import WebFile
from headway.errors import HeadwayError, IntegrityError
from headway.interfaces.content import Follower, Ingest
from headway.interfaces.images import HostMemory
from headway.interfaces.registries import WebFiles, WebStream
from headway.oci.descriptor import Descriptor
from headway.oci.digest import ImageID
from headway.service.concurrency.executors import Thread
from headway.service.concurrency.unpack_places import PoliteSource
from headway.service.creation.importing import Importer, ImportRequest
from headway.service.registries.asking import Asker
from headway.service.stores import Stores
from headway.service.transfers.blob_transfer import BlobTransfer
from headway.service.transfers.progress import LayerProgress, Waiting
from headway.service.transfers.tools import Source, TransferTools


class Arriving(msgspec.Struct, frozen=True):
    """How much of a file has arrived.

    Attributes:
        held: Bytes of it that are here.
        size: Its length in bytes; 0 if the server does not say.
        cause: Why the transfer is waiting; empty if it is not.
        retry_seconds: When it will be tried again, seconds from now.
    """

    held: int = 0
    size: int = 0
    cause: str = ""
    retry_seconds: float = 0.0


Watch = Callable[[Arriving], None]


class WebImporter:
    """Imports from web servers.

    Args:
        tools: What transfers work with.
        stores: Where unfinished files are kept.
        files: Sends requests to web servers.
        importer: Makes the images.
    """

    def __init__(self, tools: TransferTools, stores: Stores, files: WebFiles, importer: Importer) -> None:
        self._tools = tools
        self._hosts: HostMemory = stores.hosts
        self._ingests = stores.ingests
        self._files = files
        self._importer = importer

    async def import_from(self, endpoint: Endpoint, request: ImportRequest, watch: Watch) -> ImageID:
        """Make an image from the file at `request.origin`, and return its ID.

        Args:
            endpoint: Where the file is.
            request: What to make of it.
            watch: Told how far it is, once the server has answered.

        Raises:
            RegistryError: The server cannot be reached, refuses, or was lost; what arrived is kept (rule 1).
            IntegrityError: It is no tar, or has changed meanwhile.
            HeadwayError: As `Importer.import_image`.
        """
        self._importer.plan(request)  # a mistake in it is said before anything crosses the network

        def tell(wait: Waiting) -> None:
            watch(Arriving(cause=wait.cause, retry_seconds=wait.retry_seconds))

        asker = Asker(self._tools, self._hosts, [endpoint], name=request.origin, report=tell)
        found = await asker.ask(self._files.look)
        if found is not None and found.can_resume:
            return await self._kept(endpoint, found, request, watch)
        stream = await asker.ask(lambda endpoint: self._files.open(endpoint, request.origin))
        return await self._in_one_go(stream, request, watch)

    async def _kept(self, endpoint: Endpoint, found: WebFile, request: ImportRequest, watch: Watch) -> ImageID:
        """Import a file whose bytes are kept until it is whole."""
        identity, size = found.identity(request.origin), found.size or 0
        to_the_end = self._tools.executors.disk_to_the_end

        def report(progress: LayerProgress) -> None:
            watch(Arriving(progress.held, size, progress.cause, progress.retry_seconds))

        ingest = await to_the_end(self._ingests.open, identity, size)
        source = Source(msgspec.structs.replace(endpoint, validator=found.validator), "")
        descriptor = Descriptor(media_type="", digest=identity, size=size)
        transfer = BlobTransfer(self._tools, [source], descriptor, ingest, report, is_digest_known=False)
        try:
            try:
                return await self._imported(transfer, size, request, ingest)
            finally:
                await transfer.close()
        except IntegrityError:
            await to_the_end(ingest.discard)  # no attempt makes a tar of it
            raise
        finally:
            await to_the_end(ingest.close)

    async def _imported(self, transfer: BlobTransfer, size: int, request: ImportRequest, ingest: Ingest) -> ImageID:
        def unpack(follower: Follower, _: Verdict[None]) -> ImageID:  # there is no digest to wait for
            with PoliteSource(follower, self._tools.executors.unpack_places, size) as source:
                return self._importer.import_image(source, request, transfer.unpacked_to)

        unpacking = transfer.consume(unpack, "import", fatal=HeadwayError)
        await transfer.run()
        image_id = await transfer.outlast(unpacking)
        await self._tools.executors.disk(ingest.discard)
        return image_id

    async def _in_one_go(self, stream: WebStream, request: ImportRequest, watch: Watch) -> ImageID:
        loop = asyncio.get_running_loop()
        size = stream.size or 0

        def progress(read: int) -> None:
            loop.call_soon_threadsafe(watch, Arriving(read, size))

        watch(Arriving(0, size))
        work = partial(self._importer.import_image, stream, request, progress)
        thread = Thread(work, abort=stream.abort, name="import")
        try:
            return await asyncio.shield(thread.done)
        finally:
            await thread.stop()
            stream.close()
