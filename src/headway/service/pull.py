"""A pull, from a name to an image: read `Puller.pull` top to bottom.

Rule 1: the config comes before the layers: a layer whose diff ID is here is never asked for.
Rule 2: publish last: blobs, trees, chain, then image and names in one transaction.
Rule 3: what stops a pull is reported with what is kept.
Rule 4: what it needs is leased before it is looked for; the lease ends in the transaction that records the image.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import msgspec

from headway.distribution.credentials import Credentials
from headway.distribution.endpoints import InsecureRegistries, endpoints_for, foreign_endpoints
from headway.errors import (
    HeadwayError,
    InvalidDocumentError,
    InvalidReferenceError,
    MisbehavedError,
    NotFoundError,
    PullIncompleteError,
    StoreError,
)
from headway.interfaces.garbage import Lease
from headway.oci.descriptor import Descriptor
from headway.oci.digest import ChainID, DiffID, Digest, chain_ids
from headway.oci.image_config import MAX_CONFIG_BYTES, ImageConfig, check_depth
from headway.oci.manifest import Index, Manifest, parse_manifest
from headway.oci.media_types import is_foreign_layer
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.records import RawManifest
from headway.service.asking import Asker
from headway.service.blob_transfer import Cost, Source, Tools
from headway.service.disk_care import DiskCare
from headway.service.progress import (
    Notice,
    PullDone,
    PullStarted,
    Receipt,
    Report,
)
from headway.service.recording import Pulled, record_pull
from headway.service.stores import Stores
from headway.service.transfer import Transfers


class PullRequest(msgspec.Struct, frozen=True):
    """What to pull.

    Attributes:
        reference: With a tag or a digest.
        platform: Wanted platform.
        mirrors: URLs that stand in for its registry, first choice first.
        insecure: Hosts that may be asked without verified TLS.
        login: Who asks, where that came with the request; None for what this machine knows.
    """

    reference: Reference
    platform: Platform
    mirrors: tuple[str, ...]
    insecure: InsecureRegistries
    login: Credentials | None = None


class _Layer(msgspec.Struct, frozen=True):
    diff_id: DiffID
    descriptor: Descriptor


class Puller:
    """Pulls images.

    Args:
        tools: What transfers work with.
        transfers: Brings layers and blobs.
        stores: Where things are put.
        care: Looks after the disk.
    """

    def __init__(self, tools: Tools, transfers: Transfers, stores: Stores, care: DiskCare) -> None:
        self._tools = tools
        self._transfers = transfers
        self._stores = stores
        self._care = care

    @property
    def tools(self) -> Tools:
        """What transfers work with."""
        return self._tools

    async def pull(self, request: PullRequest, report: Report) -> PullDone:
        """Bring an image, complete and verified, and let its name stand for it.

        Raises:
            PullIncompleteError: Something stopped it; the error says what is kept.
        """
        work = _Pull(self._tools, self._transfers, self._stores, self._care, request, report)
        try:
            return await work.run()
        except HeadwayError as error:
            raise work.incomplete(error) from error

    async def tags(self, request: PullRequest, report: Report) -> list[Reference]:
        """Return every tag of the repository that a request names.

        Raises:
            PullIncompleteError: The registry does not tell.
        """
        work = _Pull(self._tools, self._transfers, self._stores, self._care, request, report)
        try:
            return await work.tags()
        except HeadwayError as error:
            raise work.incomplete(error) from error


class _Pull:
    """One pull under way."""

    def __init__(
        self,
        tools: Tools,
        transfers: Transfers,
        stores: Stores,
        care: DiskCare,
        request: PullRequest,
        report: Report,
    ) -> None:
        self._tools = tools
        self._transfers = transfers
        self._stores = stores
        self._care = care
        self._request = request
        self._reference = request.reference
        self._report = report
        endpoints = endpoints_for(self._reference.domain, request.mirrors, request.insecure, request.login)
        self._asker = Asker(tools, stores.hosts, endpoints, name=self._reference.familiar, report=report)
        self._layers: list[_Layer] = []
        self._manifest_bytes = 0
        self._document_bytes = 0
        self._documents: list[Digest] = []
        self._lease: Lease  # from when it is known what the name stands for

    async def run(self) -> PullDone:
        began = self._tools.clock()
        digest = self._reference.digest or (await self._resolve()).digest
        purpose = f"pull {self._reference} {self._request.platform}"
        with self._stores.leases.hold(purpose, digest) as self._lease:
            return await self._run(digest, began)

    async def _run(self, digest: Digest, began: float) -> PullDone:
        root, manifest = await self._choose(digest)
        config, costs = await self._config(manifest)
        self._layers = _pair(manifest, config)
        await self._keep(*config.diff_ids, *chain_ids(config.diff_ids))
        self._report(
            PullStarted(
                reference=self._reference.familiar,
                digest=root.digest,
                platform=str(config.platform),
                layers=tuple(
                    (digest, d.size) for digest, d in {e.descriptor.digest: e.descriptor for e in self._layers}.items()
                ),
            )
        )
        here = await self._tools.lanes.database(self._bytes_here)
        async with self._care.around([(e.diff_id, e.descriptor) for e in self._layers], self._tell):
            costs += await self._bring_layers()
        updated = await self._publish(root, manifest, config)
        receipt = self._receipt(costs, here, seconds=self._tools.clock() - began)
        done = PullDone(self._reference.familiar, root.digest, config.image_id, config.platform, updated, receipt)
        self._report(done)
        return done

    async def tags(self) -> list[Reference]:
        """Return every tag of the repository."""
        name = self._reference.name_only()
        found = await self._asker.ask(lambda endpoint: self._tools.registry.tags(endpoint, name.path))
        try:
            return [name.with_tag(tag) for tag in found]
        except InvalidReferenceError as error:
            raise MisbehavedError(name.domain, f"lists a tag that cannot be one: {error}") from None

    # Manifest and config

    async def _choose(self, digest: Digest) -> tuple[RawManifest, Manifest]:
        """Return the document that the name stands for, and the manifest of the wanted platform."""
        root = await self._manifest(digest)
        document = parse_manifest(root.data, root.media_type)
        for _ in range(3):  # nested indexes are rare, endless ones hostile
            if isinstance(document, Manifest):
                return root, document
            child = await self._manifest(self._pick(document).digest)
            document = parse_manifest(child.data, child.media_type)
        if isinstance(document, Manifest):
            return root, document
        raise InvalidDocumentError("indexes nested more than three deep")

    def _pick(self, index: Index) -> Descriptor:
        chosen = index.choose(self._request.platform)
        if chosen is None:
            offered = ", ".join(
                sorted({str(d.platform) for d in index.manifests if d.platform and d.platform.os != "unknown"})
            )
            raise NotFoundError(
                "platform",
                f"{self._request.platform} in {self._reference.familiar}",
                f"it is offered for {offered}" if offered else "",
            )
        return chosen

    async def _resolve(self) -> Descriptor:
        return await self._asker.ask(lambda endpoint: self._tools.registry.resolve(endpoint, self._reference))

    async def _manifest(self, digest: Digest) -> RawManifest:
        """Return a manifest from the store, or from the registry and then kept for the next attempt."""
        blobs, disk = self._stores.blobs, self._tools.lanes.disk
        await self._keep(digest)
        self._documents.append(digest)
        if await disk(blobs.size, digest) is not None:
            return RawManifest("", await disk(blobs.read, digest), digest)
        path = self._reference.path
        manifest = await self._asker.ask(lambda endpoint: self._tools.registry.fetch_manifest(endpoint, path, digest))
        self._manifest_bytes += len(manifest.data)
        self._document_bytes += len(manifest.data)
        parse_manifest(manifest.data, manifest.media_type)  # what is not one is not kept
        await disk(blobs.put, digest, manifest.data)
        return manifest

    async def _config(self, manifest: Manifest) -> tuple[ImageConfig, list[Cost]]:
        descriptor = manifest.config
        if descriptor.size > MAX_CONFIG_BYTES:
            raise InvalidDocumentError(f"the image's config is larger than {MAX_CONFIG_BYTES} bytes")
        await self._keep(descriptor.digest, *(layer.digest for layer in manifest.layers))
        cost = await self._transfers.blob(descriptor, self._sources(descriptor), lambda _: None)
        self._document_bytes += descriptor.size if cost.received else 0
        data = await self._tools.lanes.disk(self._stores.blobs.read, descriptor.digest)
        return ImageConfig.parse(data), [cost]

    async def _keep(self, *contents: Digest) -> None:
        """Lease what is going to be relied on, before it is looked for."""
        await self._tools.lanes.database(self._lease.add, contents)

    # Layers

    def _sources(self, descriptor: Descriptor) -> Sequence[Source]:
        foreign = descriptor.urls if is_foreign_layer(descriptor.media_type) else ()
        endpoints = [*self._asker.endpoints, *foreign_endpoints(foreign, self._request.insecure)]
        return [Source(endpoint, self._reference.path) for endpoint in endpoints]

    async def _bring_layers(self) -> list[Cost]:
        """Bring every layer; the first one that fails stops the others, which keep their bytes."""
        unique = {layer.diff_id: layer for layer in self._layers}
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._bring_layer(layer)) for layer in unique.values()]
        except BaseExceptionGroup as errors:
            # Not except*: before Python 3.11.4 it wraps what is raised inside into a group again.
            ours, others = errors.split(HeadwayError)
            if ours is None or others is not None:
                raise
            raise _first(ours) from None
        return [task.result() for task in tasks]

    async def _bring_layer(self, layer: _Layer) -> Cost:
        sources = self._sources(layer.descriptor)
        repository = self._reference.repository
        return await self._transfers.layer(layer.diff_id, layer.descriptor, sources, repository, self._report)

    def _tell(self, text: str) -> None:
        self._report(Notice(self._reference.familiar, text))

    def _bytes_here(self) -> int:
        unique = {layer.descriptor.digest: layer for layer in self._layers}
        return sum(e.descriptor.size for e in unique.values() if self._stores.layers.has_tree(e.diff_id))

    # The end

    async def _publish(self, root: RawManifest, manifest: Manifest, config: ImageConfig) -> bool:
        chain_id = await self._tools.lanes.disk(self._stores.layers.commit_chain, config.diff_ids)
        return await self._tools.lanes.database(self._record, root, manifest, config, chain_id)

    def _record(self, root: RawManifest, manifest: Manifest, config: ImageConfig, chain_id: ChainID | None) -> bool:
        pulled = Pulled(
            reference=self._reference,
            root=root.digest,
            manifest=manifest.digest,
            config=config,
            chain_id=chain_id,
            documents=self._documents,
        )
        with self._stores.transaction():
            is_news = record_pull(self._stores, pulled)
            self._lease.drop()
        return is_news

    def _receipt(self, costs: list[Cost], here: int, *, seconds: float) -> Receipt:
        """Return what the pull cost; documents count as needed where they were fetched, as they do as received."""
        layers = sum({e.descriptor.digest: e.descriptor.size for e in self._layers}.values())
        kept = sum(cost.kept for cost in costs)
        return Receipt(
            needed=layers - here - kept + self._document_bytes,
            received=self._manifest_bytes + sum(cost.received for cost in costs),
            here=here + kept,
            retries=dict(sum((Counter(cost.retries) for cost in costs), self._asker.retries)),
            seconds=seconds,
            quotas=self._asker.quotas(),
        )

    def incomplete(self, error: HeadwayError) -> PullIncompleteError:
        """Return the error to report: `error`, and what is kept."""
        unique = {layer.descriptor.digest: layer for layer in self._layers}.values()
        kept = whole = 0
        for layer in unique:
            held = self._held(layer)
            kept += held
            whole += held == layer.descriptor.size
        return PullIncompleteError(
            self._reference.familiar,
            error,
            kept_bytes=kept,
            total_bytes=sum(e.descriptor.size for e in unique),
            whole_layers=whole,
            layers=len(unique),
        )

    def _held(self, layer: _Layer) -> int:
        try:
            if self._stores.layers.has_tree(layer.diff_id):
                return layer.descriptor.size
            return self._stores.ingests.held(layer.descriptor.digest)
        except StoreError:
            return 0  # the disk is why we are here: claim nothing


def _pair(manifest: Manifest, config: ImageConfig) -> list[_Layer]:
    """Return the layers with both their names.

    Raises:
        InvalidDocumentError: Manifest and config do not belong together (moby-behaviour 3.3).
        UnsupportedError: They are too many: better said now than when all of them are here.
    """
    check_depth(len(config.diff_ids))
    if len(manifest.layers) != len(config.diff_ids):
        raise InvalidDocumentError("layers from manifest don't match image configuration")
    return [_Layer(diff_id, descriptor) for diff_id, descriptor in zip(config.diff_ids, manifest.layers, strict=True)]


def _first(errors: BaseExceptionGroup[HeadwayError]) -> HeadwayError:
    """Return the first error of a group; the others become notes of it."""
    leaves: list[HeadwayError] = []
    pending: list[BaseException] = [errors]
    while pending:
        error = pending.pop()
        if isinstance(error, BaseExceptionGroup):
            pending.extend(reversed(error.exceptions))
        elif isinstance(error, HeadwayError):
            leaves.append(error)
    for other in leaves[1:]:
        if str(other) != str(leaves[0]):
            leaves[0].add_note(f"also: {other}")
    return leaves[0]
