"""What pulls would cost, before they begin (docs/usage.md, "pull").

Rule 1: bytes of layers are exact, what their answers take besides is known to a byte or two, and `PullPlan.crossing`
        leaves room for that: it suffices. What unpacking takes is an estimate, with its basis.
Rule 2: it asks for tag, manifest and config and keeps what it got: the pull does not ask for these again.
Rule 3: several images are one errand: a layer that two of them need is fetched, and counted, once.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from headway.distribution.room import Forecast, Space
from headway.errors import HeadwayError, IntegrityError, NotFoundError, PullIncompleteError
from headway.interfaces.traffic import Account, account, charged_to, on_errand
from headway.oci.digest import DiffID, Digest
from headway.service.images.holders import Holders
from headway.service.pulling.last_rate import last_rate
from headway.service.pulling.preflight import Preflight
from headway.service.registries.remote_image import Layer, PullRequest, RemoteImage, RemoteImages, lease_purpose
from headway.service.stores import Stores
from headway.service.transfers.progress import Report
from headway.service.transfers.tools import TransferTools
from headway.service.transfers.transfer import Transfers

LEAST_ANSWER_BYTES = 200
"""What there is of an answer beside its body, unless that of the config had less: length, type and digest."""

USUAL_ANSWER_BYTES = 400
"""The same of most registries, where the config was here and taught nothing."""

MOST_ANSWER_BYTES = 16_384
"""The same at the most, with a token and a redirect to a signed URL: what the config has taken beyond that was lost."""

SPARE_ANSWER_BYTES = 64
"""By how much an answer may be longer than the last one: a part of a blob says which part it is."""

SPARE_OF_BYTES = 400
"""Of so many bytes of layers, one more may cross: tokens run out while they come, CDNs differ from one answer to the
next, and a mirror lacks what another has."""


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
        crossing: Bytes that will cross the network where none are lost on the way, headers included; a little more than
            will, since they are to suffice.
        least: Those of them that will cross in any case once it is known what the name stands for.
        question: Those of them that it takes to know that, for whoever pulls later.
        asked: Bytes that making the plan has cost, the same question among them.
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
    least: int
    question: int
    asked: int
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

    @property
    def doubtful(self) -> int:
        """Bytes that its layers may take besides those that will cross in any case."""
        return self.crossing - self.question - self.least


class _Costs:
    """What making one plan costs, and what it teaches of the answers to come.

    Attributes:
        question: Bytes that asking for the tag takes, a token included.
        answer: Bytes of an answer beside its body.
        least_answer: The same in any case: none where the config was here and taught nothing.
    """

    def __init__(self, charged: Account, began: int) -> None:
        self._charged = charged
        self._began = began
        self.question = 0
        self.answer = 0
        self.least_answer = 0

    @property
    def asked(self) -> int:
        """Bytes that have come so far."""
        return self._charged.received_bytes - self._began

    def have_brought(self, images: RemoteImages) -> None:
        """Take note of the documents that have come."""
        config = images.config_bytes - images.config_cost.kept
        self.question = self.question or self.asked - images.manifest_bytes - config
        taught = images.config_cost.received - config
        self.least_answer = min(taught, LEAST_ANSWER_BYTES)
        self.answer = min(taught or max(USUAL_ANSWER_BYTES, self.question), MOST_ANSWER_BYTES)


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
        self._holders = Holders(stores)
        self._account = Account({}, 0, {})

    @property
    def asked(self) -> dict[str, int]:
        """What its questions have cost, unless somebody else is charged for them: ``requests``, ``received_bytes``."""
        return {"requests": self._account.requests, "received_bytes": self._account.received_bytes}

    async def plan(self, request: PullRequest, report: Report) -> PullPlan:
        """Return what a pull will cost after those that were planned before.

        Raises:
            PullIncompleteError: The registry does not tell.
        """
        images = RemoteImages(self._tools, self._transfers, self._stores, request, report)
        charged = account() or self._account
        costs = _Costs(charged, charged.received_bytes)
        try:
            with on_errand(image=request.reference.familiar), charged_to(charged):
                image = await self._image(images, request, costs)
        except HeadwayError as error:
            raise PullIncompleteError(request.reference.familiar, error) from error
        costs.have_brought(images)
        return await self._tools.executors.disk(self._plan, request, image, costs)

    async def _image(self, images: RemoteImages, request: PullRequest, costs: _Costs) -> RemoteImage:
        """Return the image that a pull would bring: the registry's, where a mirror's old one is gone."""
        digest = await images.resolve()
        costs.question = costs.asked
        try:
            return await self._read(images, request, digest)
        except (NotFoundError, IntegrityError):
            costs.question = 0  # all of it comes once more
            corrected = await images.corrected(digest)
            if corrected is None:
                raise
        return await self._read(images, request, corrected)

    async def _read(self, images: RemoteImages, request: PullRequest, digest: Digest) -> RemoteImage:
        with self._stores.leases.hold(lease_purpose(request), digest) as lease:
            return await images.read(digest, lease)

    def _plan(self, request: PullRequest, image: RemoteImage, costs: _Costs) -> PullPlan:
        name = request.reference.familiar
        unfinished = {digest: written for digest, held, written in self._stores.ingests.walk() if held}
        holders = self._holders.of(layer.diff_id for layer in image.layers)
        layers = tuple(self._layer(layer, unfinished, holders) for layer in image.wanted)
        new = [layer for layer in image.wanted if layer.diff_id not in self._planned]
        for layer in new:
            self._planned[layer.diff_id] = name
        to_fetch, requests = sum(each.to_fetch for each in layers), sum(each.to_fetch > 0 for each in layers)
        spare = (1 + requests) * SPARE_ANSWER_BYTES + to_fetch // SPARE_OF_BYTES
        return PullPlan(
            reference=name,
            digest=image.root,
            platform=str(image.config.platform),
            layers=layers,
            crossing=costs.question + to_fetch + requests * costs.answer + spare,
            least=to_fetch + requests * costs.least_answer,
            question=costs.question,
            asked=costs.asked,
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
