"""Reads an image at its registry: from a name to the list of its layers.

Rule 1: the config is fetched before the layers, so that a layer whose diff ID is here is never requested.
Rule 2: a document that was fetched once is kept: the next attempt does not request it again.
Rule 3: content is leased before it is looked up.
Rule 4: a digest is taken for present in a repository only if it was seen there; otherwise the registry is asked, with
        few bytes, even if the document is here from another repository.
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
from headway.service.registries.asking import Asker
from headway.service.stores import Stores
from headway.service.transfers.blob_transfer import Cost
from headway.service.transfers.progress import LayerProgress, Phase, Report, Waiting
from headway.service.transfers.tools import Source, TransferTools
from headway.service.transfers.transfer import Transfers

NESTED_INDEXES = 3


class PullRequest(msgspec.Struct, frozen=True):
    """What to pull.

    Attributes:
        reference: The image, with a tag or a digest.
        platform: The wanted platform.
        mirrors: URLs of mirrors of its registry, first choice first.
        insecure: Hosts that may be asked without verified TLS.
        login: Credentials that came with the request; None for those of this machine.
        found: Digest that a plan has just resolved the name to, and that is used as it is; None without a plan.
    """

    reference: Reference
    platform: Platform
    mirrors: tuple[str, ...]
    insecure: InsecureRegistries
    login: Credentials | None = None
    found: Digest | None = None


def lease_purpose(request: PullRequest) -> str:
    """Return the purpose of a pull's lease, by which the next pull of the same image finds its content."""
    return f"pull {request.reference} {request.platform}"


class Layer(msgspec.Struct, frozen=True):
    """A layer with both its names.

    Attributes:
        diff_id: Digest of its tar.
        descriptor: Descriptor of its blob.
    """

    diff_id: DiffID
    descriptor: Descriptor


class RemoteImage(msgspec.Struct, frozen=True):
    """The image that a name stands for, read and checked.

    Attributes:
        root: Digest of the document that the name stands for: an index, or the manifest itself.
        manifest: The manifest of the wanted platform.
        config: Its config.
        layers: Its layers, bottom first; a layer may occur more than once.
        documents: Digests of all documents from `root` to the manifest.
    """

    root: Digest
    manifest: Manifest
    config: ImageConfig
    layers: list[Layer]
    documents: list[Digest]

    @property
    def wanted(self) -> list[Layer]:
        """The layers to fetch, each once."""
        return each_once(self.layers)


class RemoteImages:
    """Reads one image from its registry, or from mirrors of it.

    Args:
        tools: What requests and transfers need.
        transfers: Fetches the config.
        stores: Where documents are kept.
        request: The image to read.
        report: Called with events while it waits.

    Attributes:
        asker: Sends the requests.
        manifest_bytes: Bytes of manifests and indexes that were fetched.
        config_cost: Cost of the config.
        config_bytes: Bytes of the config, if it was fetched.
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
        """Return the digest that the name stands for now.

        Raises:
            HeadwayError: Neither a mirror nor the registry tells.
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
        """Return the digest that the registry itself has for a tag, if a mirror may have answered with a wrong one.

        None without a mirror, and if the registry answers with the same `digest`, or not at all.
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
        """Tell whether a document is in the store, but was never seen in this repository."""
        is_known = self._stores.references.get(self._reference.name_only().with_digest(digest)) is not None
        return not is_known and self._stores.blobs.size(digest) is not None

    async def read(self, digest: Digest, lease: Lease) -> RemoteImage:
        """Return the image of a manifest or an index.

        Args:
            digest: Digest of that document.
            lease: Keeps its content meanwhile.

        Raises:
            HeadwayError: A document cannot be fetched, or is not valid.
        """
        manifest = await self._choose(digest, lease)
        if not is_image_config(kind := manifest.config.media_type):  # a plugin's looks like an image's, inside
            raise UnsupportedError(f"it is no image: its config is of type {kind!r}")
        config = await self._config(manifest, lease)
        layers = _pair(manifest, config)
        await self._keep(lease, *config.diff_ids, *chain_ids(config.diff_ids))
        return RemoteImage(digest, manifest, config, layers, self._documents)

    def remembered(self) -> list[Layer]:
        """Return the layers of the image that an earlier attempt resolved the name to; none if it did not get so far.

        No registry is asked: the documents come before the layers, so they are in the store.

        Raises:
            HeadwayError: They are not in the store any more.
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
        """Return the sources of a blob, first choice first."""
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
        """Return a document from the store, or fetch it and keep it for the next attempt."""
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
                error.side = Side.REGISTRY  # the registry's own tag or index names it
            raise
        self.manifest_bytes += len(raw.data)
        document = parse_manifest(raw.data, raw.media_type)  # before `put`: what is not a manifest is not kept
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
        """Report a wait for the config as a wait for the manifest, for it has no progress line as layers have."""
        if config.phase is Phase.RETRYING:
            self._report(Waiting(self._reference.familiar, config.cause, config.retry_seconds))

    async def _keep(self, lease: Lease, *contents: Digest) -> None:
        """Lease content before it is looked up."""
        await self._tools.executors.database(lease.add, contents)


def each_once(layers: Iterable[Layer]) -> list[Layer]:
    """Return each layer once; if several blobs hold the same layer, with the last of them."""
    return list({layer.diff_id: layer for layer in layers}.values())


def _pair(manifest: Manifest, config: ImageConfig) -> list[Layer]:
    """Return the layers with both their names.

    Raises:
        InvalidDocumentError: Manifest and config do not belong together (moby-behaviour 3.3).
        UnsupportedError: There are more layers than can be mounted, which is better reported before fetching them.
    """
    check_depth(len(config.diff_ids))
    if len(manifest.layers) != len(config.diff_ids):
        raise InvalidDocumentError("layers from manifest don't match image configuration")
    return [Layer(diff_id, descriptor) for diff_id, descriptor in zip(config.diff_ids, manifest.layers, strict=True)]
