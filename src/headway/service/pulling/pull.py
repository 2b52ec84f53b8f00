"""A pull, from a name to an image: read `Puller.pull` top to bottom.

Rule 1: publish last: blobs, trees, chain, then image and names in one transaction.
Rule 2: the error that stops a pull says what is kept.
Rule 3: content is leased before it is looked up; the lease ends in the transaction that records the image.
"""

from __future__ import annotations

from collections import Counter
from operator import eq

from headway.errors import HeadwayError, IntegrityError, NotFoundError, PullIncompleteError, StoreError
from headway.interfaces.garbage import Lease
from headway.interfaces.registries import Meter
from headway.interfaces.traffic import account, on_errand
from headway.oci.digest import ChainID, Digest
from headway.oci.reference import Reference
from headway.service.concurrency.together import together
from headway.service.images.recording import name_pulled, record_image
from headway.service.limits.own_limits import own_limits
from headway.service.pulling.disk_care import DiskCare
from headway.service.pulling.planning import Planner
from headway.service.registries.remote_image import (
    Layer,
    PullRequest,
    RemoteImage,
    RemoteImages,
    each_once,
    lease_purpose,
)
from headway.service.registries.repository import Repository
from headway.service.stores import Stores
from headway.service.transfers.blob_transfer import Cost
from headway.service.transfers.progress import (
    LayerProgress,
    Notice,
    PullDone,
    PullStarted,
    Receipt,
    Report,
)
from headway.service.transfers.sync_group import SyncGroup
from headway.service.transfers.tools import TransferTools
from headway.service.transfers.transfer import Transfers


class Puller:
    """Pulls images.

    Args:
        tools: What requests and transfers need.
        transfers: Fetches layers and blobs.
        stores: Where images are put.
        care: Looks after the disk.
        meter: Counts requests and bytes.
    """

    def __init__(
        self, tools: TransferTools, transfers: Transfers, stores: Stores, care: DiskCare, meter: Meter
    ) -> None:
        self.tools = tools
        self.meter = meter
        self.transfers = transfers
        self.stores = stores
        self.care = care

    @property
    def active_transfers(self) -> int:
        """How many layers are being received now."""
        return self.transfers.running

    async def pull(self, request: PullRequest, report: Report) -> PullDone:
        """Fetch an image, complete and verified, and let its name stand for it.

        Raises:
            PullIncompleteError: The pull was stopped; the error says what is kept.
        """
        work = _Pull(self, request, report)
        try:
            with on_errand(image=request.reference.familiar):
                return await work.run()
        except HeadwayError as error:
            raise await work.incomplete(error) from error

    def planner(self) -> Planner:
        """Return a planner for the pulls of one command or request."""
        return Planner(self.tools, self.transfers, self.stores, self.care.preflight)

    async def tags(self, request: PullRequest, report: Report) -> list[Reference]:
        """Return every tag of the repository that a request names.

        Raises:
            PullIncompleteError: The registry does not list them.
        """
        repository = Repository(self.tools, self.tools.registry, self.stores.hosts, request, report)
        try:
            with on_errand(image=request.reference.familiar):
                found = await repository.tags()
        except HeadwayError as error:
            raise PullIncompleteError(request.reference.familiar, error) from error
        if not found:
            report(Notice(repository.name.familiar, f"{repository.name.familiar} has no tags"))
        return [repository.name.with_tag(tag) for tag in found]


class _Pull:
    """One running pull."""

    def __init__(self, puller: Puller, request: PullRequest, report: Report) -> None:
        self._tools = puller.tools
        self._transfers = puller.transfers
        self._stores = puller.stores
        self._care = puller.care
        self._request = request
        self._reference = request.reference
        self._report = report
        self._images = self._remote_images()
        self._layers: list[Layer] = []
        self._found: dict[Digest, int] = {}  # bytes of each layer that were here when it was first looked at
        self._in_vain: Cost | None = None  # cost of a wrong image, which a mirror's old tag led to
        self._lease: Lease  # set once the name has been resolved

    def _remote_images(self) -> RemoteImages:
        return RemoteImages(self._tools, self._transfers, self._stores, self._request, self._report)

    async def run(self) -> PullDone:
        began, charged = self._tools.clock(), _charged()
        digest = await self._images.resolve()
        try:
            return await self._run(digest, began)
        except (NotFoundError, IntegrityError):
            # A mirror's tag may be out of date, and the content it stands for gone.
            corrected = await self._images.corrected(digest)
            if corrected is None:
                raise
        self._begin_anew(charged)
        return await self._run(corrected, began)

    def _begin_anew(self, charged: Cost) -> None:
        """Forget the wrong image, except what it has cost."""
        now = _charged()
        self._in_vain = Cost(
            now.received - charged.received, retries=dict(Counter(now.retries) - Counter(charged.retries))
        )
        self._images = self._remote_images()
        self._layers = []

    async def _run(self, digest: Digest, began: float) -> PullDone:
        with self._stores.leases.hold(lease_purpose(self._request), digest) as self._lease:
            return await self._leased(digest, began)

    async def _leased(self, digest: Digest, began: float) -> PullDone:
        image = await self._images.read(digest, self._lease)
        self._layers = image.wanted
        if self._in_vain is not None and (budget := own_limits().budget) is not None:  # the plan was for a wrong image
            budget.check(await self._tools.executors.disk(self._bytes_missing))
        known = await self._tools.executors.database(self._stores.images.get, image.config.image_id)
        self._report(
            PullStarted(
                reference=self._reference.familiar,
                digest=image.root,
                platform=str(image.config.platform),
                layers=tuple((layer.descriptor.digest, layer.descriptor.size) for layer in self._layers),
                is_here=known is not None,
            )
        )
        here = await self._tools.executors.database(self._bytes_here)
        async with self._care.around([(e.diff_id, e.descriptor) for e in image.layers], self._tell):
            costs = await self._bring()
        updated = await self._publish(image)
        receipt = self._receipt(costs, here, seconds=self._tools.clock() - began)
        charged = account()
        with on_errand(registry=self._reference.domain):  # bytes of its own earlier attempts are not reused ones
            self._tools.reused(receipt.here if charged is None else charged.reused)
        config = image.config
        done = PullDone(self._reference.familiar, image.root, config.image_id, config.platform, updated, receipt)
        self._report(done)
        return done

    # Layers

    async def _bring(self) -> list[Cost]:
        """Fetch every layer; the first one that fails stops the others, whose bytes are kept."""
        sync_group = SyncGroup()
        return await together(self._bring_layer(layer, sync_group) for layer in self._layers)

    async def _bring_layer(self, layer: Layer, sync_group: SyncGroup) -> Cost:
        sources = self._images.sources(layer.descriptor)
        repository = self._reference.repository
        return await self._transfers.layer(
            layer.diff_id, layer.descriptor, sources, repository, self._progressed, sync_group
        )

    def _progressed(self, layer: LayerProgress) -> None:
        self._found.setdefault(layer.digest, layer.held)
        self._report(layer)

    def _tell(self, text: str) -> None:
        self._report(Notice(self._reference.familiar, text))

    def _bytes_here(self) -> int:
        return sum(e.descriptor.size for e in self._layers if self._stores.layers.has_tree(e.diff_id))

    def _bytes_missing(self) -> int:
        return sum(layer.descriptor.size - self._held(layer) for layer in self._layers)

    # The end

    async def _publish(self, image: RemoteImage) -> bool:
        chain_id = await self._tools.executors.disk(self._stores.layers.commit_chain, image.config.diff_ids)
        return await self._tools.executors.database(self._record, image, chain_id)

    def _record(self, image: RemoteImage, chain_id: ChainID | None) -> bool:
        kept = [layer.digest for layer in image.manifest.layers if self._stores.blobs.size(layer.digest) is not None]
        blobs = [*image.documents, *kept]
        with self._stores.transaction():
            record = record_image(self._stores, image.config, chain_id, image.manifest.digest, blobs)
            is_news = name_pulled(self._stores, self._reference, image.root, record)
            self._lease.drop()
        return is_news

    def _receipt(self, costs: list[Cost], here: int, *, seconds: float) -> Receipt:
        """Return the receipt; manifests and config count as needed, and as received, only if they were fetched."""
        images = self._images
        costs = [images.config_cost, *costs]
        layers = sum(e.descriptor.size for e in self._layers)
        here += sum(cost.kept for cost in costs)
        if self._in_vain is not None:  # some of the bytes that are here were fetched by this pull itself
            costs.append(self._in_vain)
            here = sum(self._found.get(e.descriptor.digest, 0) for e in self._layers)
        return Receipt(
            needed=layers - here + images.manifest_bytes + images.config_bytes,
            received=images.manifest_bytes + sum(cost.received for cost in costs),
            here=here,
            retries=dict(sum((Counter(cost.retries) for cost in costs), images.asker.retries)),
            seconds=seconds,
            quotas=images.asker.quotas(),
        )

    async def incomplete(self, error: HeadwayError) -> PullIncompleteError:
        """Return the error to report: `error`, and what is kept."""
        layers = self._layers or await self._tools.executors.disk(self._from_before)
        held = await self._tools.executors.disk(lambda: [self._held(layer) for layer in layers])
        sizes = [layer.descriptor.size for layer in layers]
        return PullIncompleteError(
            self._reference.familiar,
            error,
            kept_bytes=sum(held),
            total_bytes=sum(sizes),
            whole_layers=sum(map(eq, held, sizes)),
            layers=len(sizes),
        )

    def _from_before(self) -> list[Layer]:
        """Return the layers that an earlier attempt knew, for they are kept even if this one could not ask."""
        try:
            return each_once(self._images.remembered())
        except HeadwayError:
            return []

    def _held(self, layer: Layer) -> int:
        try:
            # In this order: a whole layer becomes a tree meanwhile.
            if self._transfers.is_whole(layer.diff_id) or self._stores.layers.has_tree(layer.diff_id):
                return layer.descriptor.size
            return self._stores.ingests.held(layer.descriptor.digest)
        except StoreError:
            return 0  # the disk failed, so promise nothing


def _charged() -> Cost:
    """Return what has been charged so far to the account of this task."""
    charged = account()
    return Cost() if charged is None else Cost(charged.received_bytes, retries=dict(charged.retries))
