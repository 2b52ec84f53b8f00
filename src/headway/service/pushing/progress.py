"""Progress of a push, as values for whoever watches it.

Rule: progress is lossy (the latest value wins); no decision depends on it.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec

from headway.oci.digest import DiffID, Digest
from headway.service.transfers.progress import Notice, Waiting


class PushPhase(StrEnum):
    """Where a layer stands."""

    PREPARING = "preparing"
    WAITING = "waiting"
    PACKING = "packing"
    PUSHING = "pushing"
    RETRYING = "retrying"
    PUSHED = "pushed"
    THERE = "already there"
    MOUNTED = "mounted"
    SKIPPED = "skipped"


class LayerPush(msgspec.Struct, frozen=True):
    """One layer's state.

    Attributes:
        diff_id: The layer.
        phase: Where it stands.
        held: Bytes of the blob that the registry is known to have; while packing, bytes of the tar that are packed.
        size: Size of the blob, in bytes; while packing, size of the tar.
        source: The repository it was mounted from.
        cause: Why it is retried; empty otherwise.
        retry_seconds: When the next attempt comes, seconds from now.
        attempts: Consecutive attempts that brought no new byte.
    """

    diff_id: DiffID
    phase: PushPhase
    held: int = 0
    size: int = 0
    source: str = ""
    cause: str = ""
    retry_seconds: float = 0.0
    attempts: int = 0


class PushStarted(msgspec.Struct, frozen=True):
    """The image is known.

    Attributes:
        reference: Familiar form of what is pushed.
        repository: Full spelling of where it goes.
        layers: Diff ID and uncompressed size of each layer, top first, each once.
    """

    reference: str
    repository: str
    layers: tuple[tuple[DiffID, int], ...]


class PushReceipt(msgspec.Struct, frozen=True):
    """What a push cost.

    Attributes:
        needed: Bytes of blobs and manifests that the registry did not have.
        sent: Bytes of them that were sent, including those sent more than once.
        there: Bytes of blobs that the registry already had, or mounted from another repository.
        retries: How often a connection failed or a request was refused for now, by cause.
        seconds: From the first request to the last record.
    """

    needed: int
    sent: int
    there: int
    retries: dict[str, int]
    seconds: float


class PushDone(msgspec.Struct, frozen=True):
    """The name stands for the image at the registry.

    Attributes:
        reference: Familiar form of what was pushed.
        tag: Its tag.
        digest: Digest of the manifest or index that the tag stands for there.
        size: Size of that document, in bytes.
        came_as: Digest that the image was pulled with, if it differs; None where it is the same, or not known.
        receipt: What it cost.
    """

    reference: str
    tag: str
    digest: Digest
    size: int
    came_as: Digest | None
    receipt: PushReceipt


PushEvent = PushStarted | Waiting | Notice | LayerPush | PushDone
PushReport = Callable[[PushEvent], None]
