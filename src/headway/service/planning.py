"""What pulls would cost, before they begin (docs/usage.md, "pull").

Rule 1: bytes on the wire are exact; what unpacking takes is an estimate, with its basis.
Rule 2: it asks for tag, manifest and config and keeps what it got: the pull does not ask for these again.
Rule 3: several images are one errand: a layer that two of them need is fetched, and counted, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from headway.distribution.room import Forecast, Space
from headway.errors import HeadwayError, IntegrityError, NotFoundError, PullIncompleteError
from headway.interfaces.traffic import on_errand
from headway.oci.digest import DiffID, Digest
from headway.oci.image_config import ImageConfig
from headway.service.last_rate import last_rate
from headway.service.preflight import Preflight
from headway.service.progress import Report
from headway.service.remote_image import Layer, PullRequest, RemoteImage, RemoteImages, lease_purpose
from headway.service.stores import Records, Stores
from headway.service.tools import TransferTools
from headway.service.transfer import Transfers

USUAL_ANSWER_BYTES = 400
"""Headers of an answer, where the config was here and taught nothing."""


class LayerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What one layer will cost.

    Attributes:
        digest: Of its blob.
        size: Of its blob, in bytes.
        here: How many of these need not be fetched.
        is_unpacked: Whether its tree is here.
        reason: Why they need not: the image that has it, or the one before that brings it; empty for an unfinished
            download.
        since: When the last byte of an unfinished download came, seconds since the epoch; None where there is none.
    """

    digest: Digest
    size: int
    here: int = 0
    is_unpacked: bool = False
    reason: str = ""
    since: float | None = None

    @property
    def to_fetch(self) -> int:
        """Bytes of it that have to cross."""
        return self.size - self.here


class PullPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What one pull will cost.

    Attributes:
        reference: Familiar form of what was asked for.
        digest: Of the document that the name stands for.
        platform: Of the image chosen.
        layers: Bottom first, each once, as the blob that will bring it.
        crossing: Bytes that will cross the network, headers included.
        forecast: What it takes on the disk.
        space: What the disk has.
        is_here: Whether the name stands for this image already.
        rate: Bytes a second that the registry's last pull came with; None where that is not known.
    """

    reference: str
    digest: Digest
    platform: str
    layers: tuple[LayerPlan, ...]
    crossing: int
    forecast: Forecast
    space: Space
    is_here: bool
    rate: float | None = None

    @property
    def size(self) -> int:
        """Bytes of all its layers' blobs."""
        return sum(layer.size for layer in self.layers)

    @property
    def to_fetch(self) -> int:
        """Bytes of layers that have to cross."""
        return sum(layer.to_fetch for layer in self.layers)


class Planner:
    """Plans the pulls of one errand.

    Args:
        tools: What to ask with.
        transfers: Brings configs.
        stores: What is here.
        preflight: Knows what layers take.
    """

    def __init__(self, tools: TransferTools, transfers: Transfers, stores: Stores, preflight: Preflight) -> None:
        self._tools = tools
        self._transfers = transfers
        self._stores = stores
        self._preflight = preflight
        self._planned: dict[DiffID, str] = {}

    async def plan(self, request: PullRequest, report: Report) -> PullPlan:
        """Return what a pull will cost after those that were planned before.

        Raises:
            PullIncompleteError: The registry does not tell.
        """
        images = RemoteImages(self._tools, self._transfers, self._stores, request, report)
        try:
            with on_errand(image=request.reference.familiar):
                image = await self._image(images, request)
        except HeadwayError as error:
            raise PullIncompleteError(
                request.reference.familiar, error, kept_bytes=0, total_bytes=0, whole_layers=0, layers=0
            ) from error
        answer_bytes = images.config_cost.received - images.config_bytes or USUAL_ANSWER_BYTES
        return await self._tools.lanes.disk(self._plan, request, image, answer_bytes)

    async def _image(self, images: RemoteImages, request: PullRequest) -> RemoteImage:
        """Return the image that a pull would bring: the registry's, where a mirror's old one is gone."""
        digest = await images.resolve()
        try:
            return await self._read(images, request, digest)
        except (NotFoundError, IntegrityError):
            corrected = await images.corrected(digest)
            if corrected is None:
                raise
        return await self._read(images, request, corrected)

    async def _read(self, images: RemoteImages, request: PullRequest, digest: Digest) -> RemoteImage:
        with self._stores.leases.hold(lease_purpose(request), digest) as lease:
            return await images.read(digest, lease)

    def _plan(self, request: PullRequest, image: RemoteImage, answer_bytes: int) -> PullPlan:
        name = request.reference.familiar
        unfinished = {digest: written for digest, held, written in self._stores.ingests.walk() if held}
        holders = _holders(self._stores, {layer.diff_id for layer in image.layers})
        layers = tuple(self._layer(layer, unfinished, holders) for layer in image.wanted)
        new = [layer for layer in image.wanted if layer.diff_id not in self._planned]
        for layer in new:
            self._planned[layer.diff_id] = name
        requests = 1 + sum(plan.to_fetch > 0 for plan in layers)  # the tag is asked for again
        return PullPlan(
            reference=name,
            digest=image.root.digest,
            platform=str(image.config.platform),
            layers=layers,
            crossing=sum(layer.to_fetch for layer in layers) + requests * answer_bytes,
            forecast=self._preflight.forecast((layer.diff_id, layer.descriptor) for layer in new),
            space=self._preflight.space(),
            rate=last_rate(self._stores.pulls.list(), request.reference.domain),
            is_here=self._stores.references.get(request.reference) == image.config.image_id,
        )

    def _layer(self, layer: Layer, unfinished: Mapping[Digest, float], holders: Mapping[DiffID, str]) -> LayerPlan:
        digest, size = layer.descriptor.digest, layer.descriptor.size
        if self._stores.layers.has_tree(layer.diff_id):
            return LayerPlan(
                digest=digest, size=size, here=size, is_unpacked=True, reason=holders.get(layer.diff_id, "")
            )
        if layer.diff_id in self._planned:
            return LayerPlan(digest=digest, size=size, here=size, reason=self._planned[layer.diff_id])
        held = min(size, self._stores.ingests.held(digest))
        return LayerPlan(digest=digest, size=size, here=held, since=unfinished.get(digest))


def _holders(records: Records, wanted: Iterable[DiffID]) -> dict[DiffID, str]:
    """Return the newest image with a name that has each layer, for layers that one has."""
    missing = {diff_id for diff_id in wanted if records.layers.has_tree(diff_id)}
    found: dict[DiffID, str] = {}
    for record in records.images.list():
        if not missing:
            break
        names = records.references.of(record.image_id)
        try:
            config = ImageConfig.parse(records.blobs.read(record.image_id)) if names else None
        except HeadwayError:  # a damaged image explains nothing; others find and say what is wrong with it
            continue
        for diff_id in missing.intersection(config.diff_ids if config is not None else ()):
            found[diff_id] = names[0].familiar
            missing.discard(diff_id)
    return found
