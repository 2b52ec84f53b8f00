"""Records of pulls that outlive who asked for them.

Rule: no credential is ever in a record; that there was one is.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from headway.distribution.pull_states import PullState
from headway.oci.digest import Digest, ImageID


class Wish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody wants to have pulled.

    Attributes:
        reference: With a tag or a digest, as a person spells it.
        platform: ``os/arch[/variant]``; empty for the machine's own.
        mirrors: URLs that stand in for its registry, before those that are set.
        insecure: Registries that may be asked without verified TLS, besides those that are set.
        detached: Whether it goes on when nobody watches it, with unlimited patience.
        patient: Whether it has unlimited patience as long as somebody watches it.
        priority: Higher goes first.
        attempts: Its own ``max-download-attempts``; None for the process's.
        patience: Its own ``download-patience`` in seconds; None for the process's.
        rate: Bytes a second of its own, below what all downloads of its process keep to; 0 for none.
        max_bytes: How much may be received for it in all, headers included; None for no limit.
        digest: What its plan has just found the reference to stand for: its first attempt asks nobody again. No record
            has it: by the next attempt a tag may have moved.
    """

    reference: str
    platform: str = ""
    mirrors: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    detached: bool = False
    patient: bool = False
    priority: int = 0
    attempts: int | None = None
    patience: float | None = None
    rate: int = 0
    max_bytes: int | None = None
    digest: Digest | None = None

    @property
    def goes_on(self) -> bool:
        """Whether it waits for its link for ever; one that has limits of its own keeps to these."""
        return self.patient or (self.detached and self.attempts is None and self.patience is None)


class PullCost(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a pull has cost, over all its attempts; see `interfaces.traffic.Account`.

    Attributes:
        sources: Bytes that came, headers included, by the registry or mirror that was asked.
        useful: Those of them that were content that was not here before.
        retries: How often a connection failed or a request was refused for now, by cause.
        seconds: How long the pull was in each state; what was down while it ran is left out.
        receiving_seconds: How long layers were being received.
        counted: Until when these were counted, seconds since the epoch.
    """

    sources: dict[str, int] = {}
    useful: int = 0
    retries: dict[str, int] = {}
    seconds: dict[PullState, float] = {}
    receiving_seconds: float = 0.0
    counted: float = 0.0

    @property
    def received(self) -> int:
        """Bytes that came, headers included."""
        return sum(self.sources.values())

    @property
    def wasted(self) -> int:
        """Bytes that came and brought nothing: headers, questions, what came twice, what was wrong."""
        return max(0, self.received - self.useful)


class PullRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One pull.

    Attributes:
        pull_id: 12 hex digits.
        wish: What is wanted; its reference and platform are spelled out.
        had_login: Whether the request came with a login, which is not kept.
        state: Where it stands.
        reason: Why it is in that state, where there is something to say.
        created: When it was asked for, seconds since the epoch.
        changed: When its state changed.
        held: Layer bytes that are here.
        size: Layer bytes in all; 0 where the manifest is not known.
        digest: Of the manifest or index; None where it is not known.
        image_id: Of the image, once it is complete.
        cost: What it has cost so far.
        found: Bytes of each layer that were here when it was first looked at, by its blob.
        needed: Bytes that were not, once it is complete; those of manifests and config, where they were fetched, too.
    """

    pull_id: str
    wish: Wish
    had_login: bool = False
    state: PullState
    reason: str = ""
    created: float
    changed: float
    held: int = 0
    size: int = 0
    digest: Digest | None = None
    image_id: ImageID | None = None
    cost: PullCost = PullCost()
    found: dict[Digest, int] = {}
    needed: int = 0

    @property
    def reused(self) -> int:
        """Bytes of its layers that did not have to come."""
        return sum(self.found.values())


class PullStore(Protocol):
    """Records of pulls. The newest ended ones are kept; what has not ended always is."""

    def put(self, record: PullRecord) -> None:
        """Record a pull; one with the same ID is replaced. Durable when this returns.

        Raises:
            StoreError: The disk failed.
        """

    def get(self, prefix: str) -> PullRecord:
        """Return the pull with this ID, or the only one whose ID begins so.

        Raises:
            NotFoundError: There is none.
            ConflictError: There are several.
        """

    def list(self) -> list[PullRecord]:
        """Return all, the newest first."""
