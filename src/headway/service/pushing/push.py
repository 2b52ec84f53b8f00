"""A push, from a name to a manifest at a registry: read `_Push.run` top to bottom.

Rule 1: publish last: layers, config, manifests of platforms, and then what the tag stands for.
Rule 2: where the registry has every blob of the image's own manifest in the end, that is pushed, byte for byte;
        otherwise one that differs in the layers alone, and the push says so.
Rule 3: a tag is pushed as what it was pulled as; an index goes along where everything that it lists is here or there,
        otherwise the platform's manifest alone.
Rule 4: what is pushed is leased: nobody prunes it meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

import msgspec

from headway.distribution.credentials import Credentials
from headway.distribution.endpoints import Endpoint, InsecureRegistries, own_endpoint
from headway.errors import HeadwayError, NotFoundError, RejectedError
from headway.interfaces.garbage import Lease
from headway.interfaces.registries import Meter
from headway.interfaces.traffic import on_errand
from headway.oci.descriptor import Descriptor
from headway.oci.manifest import Index, Manifest
from headway.oci.media_types import OCI_CONFIG
from headway.oci.platform import Platform
from headway.oci.pushed import layer_type, pushed_manifest
from headway.oci.reference import Reference
from headway.records import ImageRecord, RawManifest
from headway.service.concurrency.together import together
from headway.service.pushing.account import PushAccount
from headway.service.pushing.blob_upload import PushTools, Target, Upload
from headway.service.pushing.content import LayerContents
from headway.service.pushing.documents import PushDocuments
from headway.service.pushing.layer_pushes import LayerPushes, LayerToPush
from headway.service.pushing.names import PushNames
from headway.service.pushing.progress import (
    LayerPush,
    PushDone,
    PushPhase,
    PushReport,
    PushStarted,
)
from headway.service.registries.asking import Asker
from headway.service.stores import Stores
from headway.service.transfers.progress import Notice

T = TypeVar("T")
P = ParamSpec("P")


class PushRequest(msgspec.Struct, frozen=True):
    """What to push.

    Attributes:
        reference: With a tag.
        platform: Push this platform's manifest alone; None for what the name stands for.
        insecure: Hosts that may be asked without verified TLS.
        login: Who pushes, where that came with the request; None for what this machine knows.
    """

    reference: Reference
    platform: Platform | None = None
    insecure: InsecureRegistries = InsecureRegistries()
    login: Credentials | None = None


class ImagePusher:
    """Pushes images.

    Args:
        tools: What it works with.
        layers: Brings layers.
        contents: Finds blobs that are here.
        stores: Where the images are.
        meter: Counts what is asked of registries, and sent there.
    """

    def __init__(
        self, tools: PushTools, layers: LayerPushes, contents: LayerContents, stores: Stores, meter: Meter
    ) -> None:
        self.meter = meter
        self.tools = tools
        self.layers = layers
        self.contents = contents
        self.stores = stores
        self.names = PushNames(stores)

    async def push(self, request: PushRequest, report: PushReport) -> PushDone:
        """Bring an image to its registry, and let its tag stand for it there.

        Raises:
            PushIncompleteError: Something stopped it; what the registry has is not sent again.
        """
        work = _Push(self, request, report)
        try:
            return await work.run()
        except HeadwayError as error:
            raise work.account.incomplete(request.reference.familiar, error) from error
        finally:
            await self.tools.executors.database(self._keep_lives)

    async def push_all(self, request: PushRequest, report: PushReport) -> list[PushDone]:
        """Push every tag of a repository that is here, one after the other: most of them share most of their layers.

        Raises:
            NotFoundError: There is none.
            PushIncompleteError: Something stopped one; those after it are not tried.
        """
        tags = await self.tools.executors.database(self.names.tags, request.reference.name_only())
        return [await self.push(msgspec.structs.replace(request, reference=tag), report) for tag in tags]

    def _keep_lives(self) -> None:
        self.stores.hosts.lived(self.tools.standing.lives.take_new())


class _Part(msgspec.Struct, frozen=True):
    """One platform's image at the registry.

    Attributes:
        manifest: Its manifest, to be put there.
        own: The manifest that the image came with; None where there is none.
    """

    manifest: Manifest
    own: Manifest | None


class _Push:
    """One push under way."""

    def __init__(self, pusher: ImagePusher, request: PushRequest, report: PushReport) -> None:
        self._stores = pusher.stores
        self._tools = pusher.tools
        self._executors = pusher.tools.executors
        self._layers = pusher.layers
        self._contents = pusher.contents
        self._names = pusher.names
        self._request = request
        self._reference = reference = request.reference
        self._report_to = report
        endpoint = own_endpoint(reference.domain, request.insecure, request.login)
        self._asker = Asker(pusher.tools, pusher.stores.hosts, [endpoint], name=reference.familiar, report=report)
        self._target = Target(endpoint, reference.path, reference.repository)
        self._documents = PushDocuments(pusher.stores, reference)
        self.account = PushAccount()

    async def run(self) -> PushDone:
        began = self._tools.clock()
        record = await self._executors.database(self._record)
        errand = on_errand(registry=self._target.endpoint.host, image=self._reference.familiar)
        with errand, self._stores.leases.hold(f"push {self._reference}", record.image_id) as lease:
            try:
                return await self._run(record, lease, began)
            finally:
                await self._executors.database(lease.drop)

    async def _run(self, record: ImageRecord, lease: Lease, began: float) -> PushDone:
        part = await self._part(record, lease)
        top: Manifest | Index = part.manifest
        if part.own is part.manifest and self._request.platform is None:
            top = await self._index_over(record, part.manifest, lease) or top
        elif part.own is not None and part.own is not part.manifest:
            self._tell(
                f"its digest changes: {top.digest} instead of {part.own.digest}, since layers had to be packed anew"
            )
        await self._put(self._reference.tag, top)
        await self._executors.database(self._recorded, record, part.manifest, top, lease)
        done = PushDone(
            reference=self._reference.familiar,
            tag=self._reference.tag,
            digest=top.digest,
            size=len(top.data),
            came_as=None if part.own is None or part.own is part.manifest else part.own.digest,
            receipt=self.account.receipt(self._asker.retries, seconds=self._tools.clock() - began),
        )
        self._report_to(done)
        return done

    # What is pushed

    def _record(self) -> ImageRecord:
        record = self._names.image(self._reference)
        if self._request.platform is not None:
            return self._documents.for_platform(record, self._request.platform, self._reference)
        return record

    def _keep(self, record: ImageRecord, lease: Lease) -> None:
        """Let an image stay until it is pushed, or say that somebody was faster and has removed it.

        Raises:
            NoTagError: It is gone.
        """
        try:
            lease.add(self._documents.needed(record))
        finally:
            if self._stores.images.get(record.image_id) is None:
                raise self._names.missing(self._reference)

    async def _part(self, record: ImageRecord, lease: Lease) -> _Part:
        """Bring layers and config of one platform's image, and return the manifest that they make."""
        await self._executors.database(self._keep, record, lease)
        own = await self._executors.disk(self._documents.own_manifest, record)
        layers = await self._executors.disk(self._documents.layers, record, own)
        unique = {layer.diff_id: layer for layer in reversed(layers)}  # top first, as Docker lists them
        self.account.wants(unique)
        self._report_to(
            PushStarted(
                reference=self._reference.familiar,
                repository=self._reference.repository,
                layers=tuple((layer.diff_id, layer.size) for layer in unique.values()),
            )
        )
        for layer in unique.values():  # as docker shows them, before anybody is asked
            self._report_to(LayerPush(layer.diff_id, PushPhase.PREPARING, size=layer.size))
        # First of all: who cannot be reached, or lets nobody in, is known before a layer is packed or waited for.
        has_config = await self._ask(self._tools.pusher.blob_size, record.image_id) is not None
        await self._push_layers(list(unique.values()))
        config = await self._push_config(record, own, is_there=has_config)
        descriptors = [self._descriptor(layer, own) for layer in layers]
        return _Part(pushed_manifest(own, config, descriptors), own)

    def _descriptor(self, layer: LayerToPush, own: Manifest | None) -> Descriptor:
        blob = self.account.blobs[layer.diff_id]
        if layer.own is not None and layer.own.digest == blob.digest:
            return layer.own
        return Descriptor(media_type=layer_type(own), digest=blob.digest, size=blob.size)

    # Blobs

    async def _push_layers(self, layers: Sequence[LayerToPush]) -> None:
        """Bring layers; the first that fails, in their order, stops the others."""
        await together(self._push_layer(layer) for layer in layers)

    async def _push_layer(self, layer: LayerToPush) -> None:
        blob = await self._layers.push(self._target, layer, self._asker.ask, self._report_to)
        self.account.brought(layer.diff_id, blob)

    async def _push_config(self, record: ImageRecord, own: Manifest | None, *, is_there: bool) -> Descriptor:
        content = await self._executors.disk_to_the_end(self._contents.blob, record.image_id)
        if content is None:
            raise NotFoundError("blob", record.image_id)
        try:
            if not is_there:
                upload = Upload(self._tools, self._target, content, lambda _: None)
                await upload.run()
                self.account.sent(content.size, upload.sent_bytes, upload.retries)
        finally:
            content.file.close()
        return (
            own.config
            if own is not None
            else Descriptor(media_type=OCI_CONFIG, digest=record.image_id, size=content.size)
        )

    # Manifests

    async def _index_over(self, record: ImageRecord, manifest: Manifest, lease: Lease) -> Index | None:
        """Return the index that the tag is pushed as, once everything that it lists is at the registry; else None."""
        index = await self._executors.disk(self._documents.index_to_push, record, manifest.digest)
        if index is None:
            return None
        if missing := await self._bring_listed(index, manifest, lease):
            platform = await self._executors.disk(self._documents.platform, record)
            self._tell(f"only the manifest of {platform} is pushed: the index that it came with lists {missing}")
            return None
        return index

    async def _bring_listed(self, index: Index, manifest: Manifest, lease: Lease) -> str:
        """Bring what an index lists to the registry, an index in it behind what that lists.

        Args:
            index: It lists `manifest`, or an index that does.
            manifest: Its layers and config are there.
            lease: Keeps what is brought.

        Returns:
            What is the matter with an entry that cannot be brought; empty where there is none.
        """
        for entry in sorted(index.manifests, key=lambda entry: entry.digest == manifest.digest):
            if entry.digest == manifest.digest:
                await self._put(manifest.digest, manifest)
                continue
            if await self._ask(self._tools.pusher.has_manifest, entry.digest):
                continue
            inner = await self._executors.disk(self._documents.index, entry.digest)
            if inner is not None:
                if missing := await self._bring_listed(inner, manifest, lease):
                    return missing
                await self._put(inner.digest, inner)
                continue
            other = await self._executors.database(self._documents.image_of, entry.digest)
            if other is None:
                return f"{_named(entry)}, which is neither here nor at the registry"
            part = await self._part(other, lease)
            if part.own is not part.manifest:
                return f"{_named(entry)}, of which layers had to be packed anew"
            await self._put(part.manifest.digest, part.manifest)
        return ""

    async def _put(self, name: str, document: Manifest | Index) -> None:
        pusher, raw = self._tools.pusher, RawManifest(document.media_type, document.data, document.digest)
        status = await self._ask(pusher.put_manifest, name, raw)
        if status != 201 and not await self._ask(pusher.has_manifest, raw.digest):
            said = f"accepts the manifest (HTTP {status}), and does not have it"
            raise RejectedError(self._target.endpoint.host, status, said)
        self.account.sent(len(raw.data), len(raw.data), {})

    def _ask(
        self, question: Callable[Concatenate[Endpoint, str, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Awaitable[T]:
        """Put a question about the repository to its registry, again where that helps."""
        return self._asker.ask(lambda endpoint: question(endpoint, self._target.repository, *args, **kwargs))

    # The end

    def _recorded(self, record: ImageRecord, manifest: Manifest, top: Manifest | Index, lease: Lease) -> None:
        """Let the digest that the registry knows stand for the image, and tell."""
        stores, by_digest = self._stores, self._reference.name_only().with_digest(top.digest)
        lease.add((manifest.digest, top.digest))
        for digest, data in {manifest.digest: manifest.data, top.digest: top.data}.items():
            stores.blobs.put(digest, data)
        with stores.transaction():
            if stores.images.get(record.image_id) is not None:  # else somebody has removed it meanwhile
                stores.images.add_blobs(record.image_id, (manifest.digest, top.digest))
                if stores.references.get(by_digest) is None:
                    stores.references.put_digest(by_digest, record.image_id)
            stores.events.tell_of_image("push", self._reference.familiar, self._reference.familiar_name, record)

    def _tell(self, text: str) -> None:
        self._report_to(Notice(self._reference.familiar, text))


def _named(entry: Descriptor) -> str:
    """Return what to call one more entry of an index."""
    if entry.is_attestation:
        return "an attestation"
    return "another" if entry.platform is None else f"another for {entry.platform}"
