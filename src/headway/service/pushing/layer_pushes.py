"""Pushes layers, each once however many pushes wait for it (moby-behaviour 2.7).

Rule 1: pushes to one repository share a layer, whatever their tags, if their manifests may name the same blob.
Rule 2: the registry is first asked whether it has the layer, then to mount it from another repository; only then is the
        layer sent.
Rule 3: before a blob is sent, the registry is asked for that very blob, too, if its size makes that worth a request.
Rule 4: a pair (diff ID, blob digest) is recorded here only where it was known before, or both were computed over the
        same bytes (`service.pushing.content`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from headway.distribution.endpoints import Endpoint
from headway.errors import HeadwayError, RefusedError
from headway.interfaces.registries import Mount
from headway.oci.descriptor import Descriptor
from headway.oci.digest import DiffID, Digest
from headway.oci.media_types import is_foreign_layer
from headway.records import LayerBlob
from headway.service.concurrency.executors import Thread
from headway.service.concurrency.single_flight import SingleFlight
from headway.service.concurrency.slots import Slots
from headway.service.pushing.blob_upload import Begun, PushTools, Target, Upload, UploadProgress
from headway.service.pushing.candidates import Effort, effort_for, is_seen_in, to_check, to_mount
from headway.service.pushing.content import Content, LayerContents
from headway.service.pushing.progress import LayerPush, PushPhase
from headway.service.stores import Stores

T = TypeVar("T")
Listener = Callable[[LayerPush], None]
log = logging.getLogger(__name__)


class Ask(Protocol):
    """Asks the registry something small, and retries where that helps (`service.registries.asking.Asker.ask`)."""

    def __call__(self, question: Callable[[Endpoint], T]) -> Awaitable[T]:
        """Return the answer, or raise the error that prevents it."""


class LayerToPush(msgspec.Struct, frozen=True):
    """A layer of an image.

    Attributes:
        diff_id: The layer.
        size: Its uncompressed size in bytes, as Docker counts it.
        own: The blob that the image came with; None if none is known.
        image: Familiar name of the image, for errors.
        unfit: Blobs to which the media type of layers packed here does not apply.
        keeps_manifest: Whether its image is pushed with the manifest that it came with: then no other blob will do.
    """

    diff_id: DiffID
    size: int
    own: Descriptor | None
    image: str
    unfit: frozenset[Digest] = frozenset()
    keeps_manifest: bool = False

    def may_be(self, blob: Digest) -> bool:
        """Tell whether its image's manifest may name a blob that holds it."""
        if self.own is not None and blob == self.own.digest:
            return True
        return not self.keeps_manifest and blob not in self.unfit


class PushedBlob(msgspec.Struct, frozen=True):
    """A blob that the registry has now.

    Attributes:
        digest: Its digest.
        size: Its size in bytes.
        how: Whether it was there, was mounted, was sent, or may not be sent.
        sent: Bytes that went over connections for it.
        retries: Failures by cause.
    """

    digest: Digest
    size: int
    how: PushPhase
    sent: int = 0
    retries: dict[str, int] = {}


class LayerPushes:
    """Pushes layers to registries.

    Args:
        tools: What uploads work with.
        stores: Where the layers are.
        contents: Finds and makes their blobs.
        slots: Limits how many layers are pushed at once.
        group: Owns the tasks.
    """

    def __init__(
        self, tools: PushTools, stores: Stores, contents: LayerContents, *, slots: Slots, group: asyncio.TaskGroup
    ) -> None:
        self._tools = tools
        self._stores = stores
        self._contents = contents
        self._slots = slots
        self._flights: SingleFlight[PushedBlob, LayerPush] = SingleFlight(group)

    async def push(self, target: Target, layer: LayerToPush, ask: Ask, listener: Listener) -> PushedBlob:
        """Push a layer to a repository.

        Raises:
            NoRecipeError: The registry does not have it, and its bytes cannot be made here.
            HeadwayError: The push failed.
        """

        async def start(report: Listener) -> PushedBlob:
            work = _LayerPush(self._tools, self._stores, self._contents, target, layer, ask, report)
            return await work.run(self._slots)

        key = (target.endpoint.host, target.repository, layer.diff_id)
        while True:
            pushed, begins = await self._flights.join(key, start, listener, way=(target, layer.own))
            # Another image's manifest may name a blob that this one's may not, or leave the layer where it is.
            if begins or (pushed.how is not PushPhase.SKIPPED and layer.may_be(pushed.digest)):
                return pushed


class _LayerPush:
    """The push of one layer."""

    def __init__(
        self,
        tools: PushTools,
        stores: Stores,
        contents: LayerContents,
        target: Target,
        layer: LayerToPush,
        ask: Ask,
        report: Listener,
    ) -> None:
        self._tools = tools
        self._metadata = stores.metadata
        self._contents = contents
        self._target = target
        self._layer = layer
        self._ask = ask
        self._report_to = report
        self._retries: Counter[str] = Counter()
        self._asked_for: set[Digest] = set()
        self._lengths = {layer.own.digest: layer.own.size} if layer.own is not None else {}

    async def run(self, slots: Slots) -> PushedBlob:
        """Push it, and return the blob that the registry then has."""
        own = self._layer.own
        if own is not None and is_foreign_layer(own.media_type) and own.urls:
            self._report(PushPhase.SKIPPED)
            return PushedBlob(own.digest, own.size, PushPhase.SKIPPED)
        if slots.is_full:
            self._report(PushPhase.WAITING)
        async with slots.slot():
            known = await self._tools.executors.database(self._metadata.blobs_of, self._layer.diff_id)
            blobs = [blob for blob in known if self._layer.may_be(blob.digest)]
            return await self._brought(blobs, effort_for(self._layer.size))

    async def _brought(self, blobs: Sequence[LayerBlob], effort: Effort) -> PushedBlob:
        own = self._layer.own.digest if self._layer.own is not None else None
        candidates = to_check(blobs, self._target.spelled, own)
        if found := await self._there(candidates[:1], blobs):
            return found
        begun = None
        for mount in to_mount(blobs, self._target.spelled, own)[: effort.mounts]:
            await self._cancel(begun)
            mounted, begun = await self._mounted(mount)
            if mounted is not None:
                return mounted
        more = [d for d in candidates[1:] if effort.foreign or is_seen_in(blobs, d, self._target.spelled)]
        if found := await self._there(more[: effort.checks], blobs):
            await self._cancel(begun)
            return found
        return await self._sent(begun, effort)

    async def _there(self, digests: Sequence[Digest], blobs: Sequence[LayerBlob]) -> PushedBlob | None:
        """Return the first of some blobs that the repository has and whose size is known."""
        for digest in digests:
            size = await self._size(digest)
            if size == 0:
                continue
            self._asked_for.add(digest)
            if size is not None:
                await self._remember(digest)
                self._report(PushPhase.THERE)
                return PushedBlob(digest, size, PushPhase.THERE, retries=dict(self._retries))
            if is_seen_in(blobs, digest, self._target.spelled):
                await self._forget(LayerBlob(digest, self._target.spelled))
        return None

    async def _size(self, digest: Digest) -> int | None:
        """Return the size of a blob of the repository: as recorded here, or else as the registry says."""
        path, pusher = self._target.repository, self._tools.pusher
        size = await self._ask(lambda endpoint: pusher.blob_size(endpoint, path, digest))
        return size if size is None else self._lengths.get(digest, size)

    async def _mounted(self, mount: Mount) -> tuple[PushedBlob | None, Begun | None]:
        """Try to mount a blob from another repository; return it, or the session that the registry began instead."""
        target = self._target
        session = self._tools.pusher.session(target.endpoint, target.repository)
        try:
            least = await self._tools.executors.abandonable(lambda: session.begin(mount))
        except HeadwayError as error:
            log.debug("no mount of %s from %s: %s", mount.digest, mount.source, error)
            if not isinstance(error, RefusedError):
                self._retries[error.brief] += 1
            return None, None
        if least is not None:
            domain = target.spelled.partition("/")[0]
            await self._forget(LayerBlob(mount.digest, f"{domain}/{mount.source}"))
            return None, Begun(session, least)
        size = await self._size(mount.digest)
        if not size:
            return None, None
        await self._remember(mount.digest)
        self._report_to(LayerPush(self._layer.diff_id, PushPhase.MOUNTED, size, size, source=mount.source))
        return PushedBlob(mount.digest, size, PushPhase.MOUNTED, retries=dict(self._retries)), None

    async def _cancel(self, begun: Begun | None) -> None:
        if begun is not None:
            await self._tools.executors.abandonable(begun.session.cancel)

    async def _sent(self, begun: Begun | None, effort: Effort) -> PushedBlob:
        disk, layer = self._tools.executors.disk_to_the_end, self._layer
        retained = await disk(self._contents.retained, layer.diff_id, layer.own, layer.unfit)
        content = retained or await self._packed()
        self._lengths[content.digest] = content.size
        try:
            is_new = content.digest not in self._asked_for
            if effort.made and is_new and (found := await self._there([content.digest], ())):
                await self._cancel(begun)
                return found
            self._report(PushPhase.PUSHING, 0, content.size)
            upload = Upload(
                self._tools, self._target, content, lambda progress: self._report_upload(content, progress), begun
            )
            await upload.run()
        finally:
            content.file.close()
        await self._remember(content.digest)
        self._report(PushPhase.PUSHED, content.size, content.size)
        retries = dict(self._retries + upload.retries)
        return PushedBlob(content.digest, content.size, PushPhase.PUSHED, upload.sent_bytes, retries)

    async def _packed(self) -> Content:
        """Pack the layer anew, in a thread that ends soon if nobody wants it any more."""
        loop, stop = asyncio.get_running_loop(), asyncio.Event()

        def progress(done: int, size: int) -> None:
            loop.call_soon_threadsafe(self._report, PushPhase.PACKING, done, size)

        def work() -> Content:
            return self._contents.packed(self._layer.diff_id, self._layer.image, progress, stop.is_set)

        thread = Thread(work, abort=stop.set, name="pack")
        try:
            return await asyncio.shield(thread.done)
        except asyncio.CancelledError:
            await thread.stop()
            if thread.done.done() and thread.done.exception() is None:
                thread.done.result().file.close()
            raise

    def _report_upload(self, content: Content, progress: UploadProgress) -> None:
        if progress.wait is None:
            self._report(PushPhase.PUSHING, progress.held, content.size)
            return
        self._report_to(
            LayerPush(
                diff_id=self._layer.diff_id,
                phase=PushPhase.RETRYING,
                held=progress.held,
                size=content.size,
                cause=str(progress.wait.cause),
                retry_seconds=progress.left_seconds,
                attempts=progress.wait.attempts,
            )
        )

    def _report(self, phase: PushPhase, held: int = 0, size: int = 0) -> None:
        self._report_to(LayerPush(self._layer.diff_id, phase, held, size or self._layer.size))

    async def _remember(self, digest: Digest) -> None:
        blob = LayerBlob(digest, self._target.spelled)
        await self._tools.executors.database(self._metadata.remember, self._layer.diff_id, blob)

    async def _forget(self, blob: LayerBlob) -> None:
        await self._tools.executors.database(self._metadata.forget, blob)
