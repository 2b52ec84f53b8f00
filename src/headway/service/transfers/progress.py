"""Progress of a pull, as values for whoever watches it.

Rule: progress is lossy (the latest value wins); no decision depends on it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec

from headway.distribution.quota import Quota
from headway.oci.digest import Digest, ImageID
from headway.oci.platform import Platform


class Phase(StrEnum):
    """Where a layer stands."""

    WAITING = "waiting"
    HERE = "already here"
    DOWNLOADING = "downloading"
    RETRYING = "retrying"
    UNPACKING = "unpacking"
    DONE = "done"


class LayerProgress(msgspec.Struct, frozen=True):
    """One layer's state.

    Attributes:
        digest: Of its blob.
        phase: Where it stands.
        held: Bytes of the blob that are here.
        size: Size of the blob, in bytes.
        kept: Those of `held` that an earlier attempt left.
        unpacked: Bytes of the blob that have been unpacked.
        received: Bytes that crossed the network for it in this pull, headers included.
        cause: Why it is retried; empty otherwise.
        retry_seconds: When the next attempt comes, seconds from now.
        attempts: Consecutive attempts that brought no new byte.
    """

    digest: Digest
    phase: Phase
    held: int = 0
    size: int = 0
    kept: int = 0
    unpacked: int = 0
    received: int = 0
    cause: str = ""
    retry_seconds: float = 0.0
    attempts: int = 0


class PullStarted(msgspec.Struct, frozen=True):
    """The manifest is known.

    Attributes:
        reference: Familiar form of what was asked for.
        digest: Of the manifest or index that the name stands for.
        platform: Of the image chosen.
        layers: Digest and size of each layer, bottom first, each digest once.
        is_here: Whether the image itself is here already, under whatever name.
    """

    reference: str
    digest: Digest
    platform: str
    layers: tuple[tuple[Digest, int], ...]
    is_here: bool = False


class Waiting(msgspec.Struct, frozen=True):
    """The registry did not give the manifest or the config; it will be asked again.

    Attributes:
        reference: Familiar form of what was asked for.
        cause: Why.
        retry_seconds: When, seconds from now.
    """

    reference: str
    cause: str
    retry_seconds: float


class Waits:
    """Tells waits apart, of which each is reported again every second: as lines they would be thousands."""

    def __init__(self) -> None:
        self._last: dict[str, Waiting] = {}

    def is_new(self, waiting: Waiting) -> bool:
        """Tell whether a wait is worth a line: not so short, nor the one before counted down."""
        before = self._last.get(waiting.reference)
        self._last[waiting.reference] = waiting
        is_countdown = (
            before is not None and before.cause == waiting.cause and before.retry_seconds > waiting.retry_seconds
        )
        return waiting.retry_seconds >= 1 and not is_countdown


class Notice(msgspec.Struct, frozen=True):
    """Something the user should know, and that stops nothing.

    Attributes:
        reference: Familiar form of what was asked for.
        text: One sentence.
    """

    reference: str
    text: str


class Receipt(msgspec.Struct, frozen=True):
    """What a pull cost.

    Attributes:
        needed: Bytes of layers, manifests and config that were not here when it began; what was kept from earlier
            attempts is left out.
        received: Bytes that crossed the network, headers included, manifests and config too.
        here: Layer bytes that were here already: layers unpacked, and bytes kept from earlier attempts.
        retries: How often a connection failed or a request was refused for now, by cause.
        seconds: From the first request to the last record.
        quotas: What each registry that was asked lets us ask, by its host; those that do not say are left out.
    """

    needed: int
    received: int
    here: int
    retries: dict[str, int]
    seconds: float
    quotas: dict[str, Quota] = {}


class PullDone(msgspec.Struct, frozen=True):
    """The image is complete and verified.

    Attributes:
        reference: Familiar form of what was asked for.
        digest: Of the manifest or index that the name stands for.
        image_id: The image's ID.
        platform: Of the image.
        updated: Whether the name stands for another image than before, or is new.
        receipt: What it cost.
    """

    reference: str
    digest: Digest
    image_id: ImageID
    platform: Platform
    updated: bool
    receipt: Receipt


PullEvent = PullStarted | Waiting | Notice | LayerProgress | PullDone
Report = Callable[[PullEvent], None]
