"""An image as its registry has it: from a name to the layers it is made of.

Rule 1: the config comes before the layers: a layer whose diff ID is here is never asked for.
Rule 2: documents are kept where they were fetched once: the next attempt does not ask for them again.
Rule 3: what it needs is leased before it is looked for.
Rule 4: a repository has what it was seen to have: a digest that came from another one is asked for, in few bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from headway.distribution.credentials import Credentials
from headway.distribution.endpoints import Endpoint, InsecureRegistries, endpoints_for, foreign_endpoints
from headway.errors import HeadwayError, InvalidDocumentError, NotFoundError, Side, UnsupportedError
from headway.interfaces.garbage import Lease
from headway.oci.descriptor import Descriptor
from headway.oci.digest import DiffID, Digest, chain_ids
from headway.oci.image_config import ImageConfig, check_config_size, check_depth
from headway.oci.manifest import Index, Manifest, parse_manifest
from headway.oci.media_types import is_foreign_layer, is_image_config
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.records import RawManifest
from headway.service.asking import Asker
from headway.service.blob_transfer import Cost
from headway.service.progress import LayerProgress, Phase, Report, Waiting
from headway.service.stores import Stores
from headway.service.tools import Source, TransferTools
from headway.service.transfer import Transfers

NESTED_INDEXES = 3


class PullRequest(msgspec.Struct, frozen=True):
    """What to pull.

    Attributes:
        reference: With a tag or a digest.
        platform: Wanted platform.
        mirrors: URLs that stand in for its registry, first choice first.
        insecure: Hosts that may be asked without verified TLS.
        login: Who asks, where that came with the request; None for what this machine knows.
        found: What its plan has just found the name to stand for: nobody is asked again. None where there is no plan.
    """

    reference: Reference
    platform: Platform
    mirrors: tuple[str, ...]
    insecure: InsecureRegistries
    login: Credentials | None = None
    found: Digest | None = None


def lease_purpose(request: PullRequest) -> str:
    """Return what a pull keeps its content for: who asks for the same again goes on with it."""
    return f"pull {request.reference} {request.platform}"


class Layer(msgspec.Struct, frozen=True):
    """A layer by both its names.

    Attributes:
        diff_id: Of its tar.
        descriptor: Of its blob.
    """

    diff_id: DiffID
    descriptor: Descriptor


class RemoteImage(msgspec.Struct, frozen=True):
    """What a name stands for, read and checked.

    Attributes:
        root: Digest of the document that the name stands for: an index, or the manifest itself.
        manifest: The manifest of the wanted platform.
        config: Its config.
        layers: Bottom first; a layer may come more than once.
        documents: Every document on the way, by digest.
    """

    root: Digest
    manifest: Manifest
    config: ImageConfig
    layers: list[Layer]
    documents: list[Digest]

    @property
    def wanted(self) -> list[Layer]:
        """What has to be had."""
        return each_once(self.layers)


class RemoteImages:
    """Reads one image from its registry and the mirrors of that.

    Args:
        tools: What to work with.
        transfers: Brings the config.
        stores: Where documents are kept.
        request: What to read.
        report: Told while it waits.

    Attributes:
        asker: Puts the questions.
        manifest_bytes: Of manifests that crossed the network.
        config_cost: What the config cost.
        config_bytes: Of the config, if it crossed the network.
    """

    def __init__(
        self, tools: TransferTools, transfers: Transfers, stores: Stores, request: PullRequest, report: Report
    ) -> None:
        self._tools = tools
        self._transfers = transfers
        self._stores = stores
        self._request = request
        self._report = report
        self._reference = request.reference
        endpoints = endpoints_for(self._reference.domain, request.mirrors, request.insecure, request.login)
        self.asker = self._asking(endpoints)
        self.manifest_bytes = 0
        self.config_cost = Cost()
        self.config_bytes = 0
        self._documents: list[Digest] = []

    async def resolve(self) -> Digest:
        """Return what the name stands for now.

        Raises:
            HeadwayError: Nobody knows.
        """
        if self._request.found is not None:
            return self._request.found
        digest = self._reference.digest
        if digest is not None and not await self._tools.executors.disk(self._is_from_elsewhere, digest):
            return digest
        found = await self.asker.ask(lambda endpoint: self._tools.registry.resolve(endpoint, self._reference))
        return found.digest

    def _asking(self, endpoints: Sequence[Endpoint]) -> Asker:
        name = self._reference.familiar
        return Asker(self._tools, self._stores.hosts, endpoints, name=name, report=self._report)

    async def corrected(self, digest: Digest) -> Digest | None:
        """Return what the registry itself takes a tag for, where a mirror may have said `digest` of it.

        None where there is no mirror, or the registry says the same or nothing.
        """
        own = [endpoint for endpoint in self.asker.endpoints if not endpoint.mirror]
        if self._reference.digest is not None or len(own) == len(self.asker.endpoints):
            return None
        try:
            found = await self._asking(own).ask(
                lambda endpoint: self._tools.registry.resolve(endpoint, self._reference)
            )
        except HeadwayError:
            return None
        return found.digest if found.digest != digest else None

    def _is_from_elsewhere(self, digest: Digest) -> bool:
        """Tell whether a document is here that this repository was never seen to have."""
        is_known = self._stores.references.get(self._reference.name_only().with_digest(digest)) is not None
        return not is_known and self._stores.blobs.size(digest) is not None

    async def read(self, digest: Digest, lease: Lease) -> RemoteImage:
        """Return the image that a manifest or an index is of.

        Args:
            digest: Of that document.
            lease: Keeps what is relied on.

        Raises:
            HeadwayError: Something of it cannot be had, or is not what it should be.
        """
        manifest = await self._choose(digest, lease)
        if not is_image_config(kind := manifest.config.media_type):  # a plugin's looks like an image's, inside
            raise UnsupportedError(f"it is no image: its config is of type {kind!r}")
        config = await self._config(manifest, lease)
        layers = _pair(manifest, config)
        await self._keep(lease, *config.diff_ids, *chain_ids(config.diff_ids))
        return RemoteImage(digest, manifest, config, layers, self._documents)

    def remembered(self) -> list[Layer]:
        """Return the layers of what an earlier attempt found the name to stand for, none where it did not get so far.

        Nobody is asked: its documents are here, for they come before the layers.

        Raises:
            HeadwayError: They are not here any more.
        """
        digest = self._stores.leases.subject(lease_purpose(self._request))
        if digest is None:
            return []
        document = parse_manifest(self._stores.blobs.read(digest), "")
        for _ in range(NESTED_INDEXES):
            if isinstance(document, Manifest):
                break
            document = parse_manifest(self._stores.blobs.read(self._pick(document).digest), "")
        if not isinstance(document, Manifest):
            return []
        return _pair(document, ImageConfig.parse(self._stores.blobs.read(document.config.digest)))

    def sources(self, descriptor: Descriptor) -> Sequence[Source]:
        """Return where a blob can be had, first choice first."""
        foreign = descriptor.urls if is_foreign_layer(descriptor.media_type) else ()
        endpoints = [*self.asker.endpoints, *foreign_endpoints(foreign, self._request.insecure)]
        return [Source(endpoint, self._reference.path) for endpoint in endpoints]

    async def _choose(self, digest: Digest, lease: Lease) -> Manifest:
        """Return the manifest of the wanted platform."""
        document = await self._document(digest, lease)
        for _ in range(NESTED_INDEXES):  # nested indexes are rare, endless ones hostile
            if isinstance(document, Manifest):
                break
            document = await self._document(self._pick(document).digest, lease)
        if isinstance(document, Manifest):
            return document
        raise InvalidDocumentError("indexes nested more than three deep")

    def _pick(self, index: Index) -> Descriptor:
        chosen = index.choose(self._request.platform)
        if chosen is None:
            offered = ", ".join(
                sorted({str(d.platform) for d in index.manifests if d.platform and not d.platform.is_unknown})
            )
            raise NotFoundError(
                "platform",
                f"{self._request.platform} in {self._reference.familiar}",
                f"it is offered for {offered}" if offered else "",
            )
        return chosen

    async def _document(self, digest: Digest, lease: Lease) -> Manifest | Index:
        """Return a document from the store, or from the registry and then kept for the next attempt."""
        blobs, disk = self._stores.blobs, self._tools.executors.disk
        await self._keep(lease, digest)
        self._documents.append(digest)
        if await disk(blobs.size, digest) is not None:
            return parse_manifest(await disk(blobs.read, digest), "")
        path = self._reference.path
        try:
            raw = await self.asker.ask(lambda endpoint: self._fetched(endpoint, path, digest))
        except NotFoundError as error:
            if digest != self._reference.digest:
                error.side = Side.REGISTRY  # it is its own tag, or its index, that names it
            raise
        self.manifest_bytes += len(raw.data)
        document = parse_manifest(raw.data, raw.media_type)  # what is none is not kept
        await disk(blobs.put, digest, raw.data)
        return document

    def _fetched(self, endpoint: Endpoint, path: str, digest: Digest) -> RawManifest:
        manifest = self._tools.registry.fetch_manifest(endpoint, path, digest)
        self._tools.useful(len(manifest.data))
        return manifest

    async def _config(self, manifest: Manifest, lease: Lease) -> ImageConfig:
        descriptor = manifest.config
        check_config_size(descriptor.size)
        await self._keep(lease, descriptor.digest, *(layer.digest for layer in manifest.layers))
        self.config_cost = await self._transfers.blob(descriptor, self.sources(descriptor), self._tell)
        self.config_bytes = descriptor.size if self.config_cost.received else 0
        return ImageConfig.parse(await self._tools.executors.disk(self._stores.blobs.read, descriptor.digest))

    def _tell(self, config: LayerProgress) -> None:
        """Tell of a wait for the config as of one for the manifest: nobody watches it as they watch a layer."""
        if config.phase is Phase.RETRYING:
            self._report(Waiting(self._reference.familiar, config.cause, config.retry_seconds))

    async def _keep(self, lease: Lease, *contents: Digest) -> None:
        """Lease what is going to be relied on, before it is looked for."""
        await self._tools.executors.database(lease.add, contents)


def each_once(layers: Iterable[Layer]) -> list[Layer]:
    """Return layers without what comes twice; of several blobs that hold the same layer one does, the last."""
    return list({layer.diff_id: layer for layer in layers}.values())


def _pair(manifest: Manifest, config: ImageConfig) -> list[Layer]:
    """Return the layers with both their names.

    Raises:
        InvalidDocumentError: Manifest and config do not belong together (moby-behaviour 3.3).
        UnsupportedError: They are too many: better said now than when all of them are here.
    """
    check_depth(len(config.diff_ids))
    if len(manifest.layers) != len(config.diff_ids):
        raise InvalidDocumentError("layers from manifest don't match image configuration")
    return [Layer(diff_id, descriptor) for diff_id, descriptor in zip(config.diff_ids, manifest.layers, strict=True)]
