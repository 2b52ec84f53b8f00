"""Records of durable pulls, which outlive the client that asked for them.

Rule: a record never holds a login, only whether there was one.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from headway.distribution.pull_states import PullState
from headway.oci.digest import Digest, ImageID


class Wish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A wish to have an image pulled.

    Attributes:
        reference: The image, with a tag or a digest, in any spelling.
        platform: ``os/arch[/variant]``; empty for that of the machine.
        mirrors: URLs of mirrors of its registry, to be tried before those of the settings.
        insecure: Registries that may be asked without verified TLS, in addition to those of the settings.
        detached: Whether it goes on without a client that watches, with unlimited patience.
        patient: Whether it has unlimited patience while a client watches.
        priority: Pulls with a higher one go first.
        attempts: Its own ``max-download-attempts``; None for that of the process.
        patience: Its own ``download-patience``, in seconds; None for that of the process.
        rate: Its own limit in bytes a second, within that of the process; 0 for none.
        max_bytes: How many bytes may be received for it in all, headers included; None for no limit.
        digest: Digest that a plan has just resolved the reference to, for the first attempt to use. It is not recorded,
            for by the next attempt a tag may have moved.
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
        """Whether it waits for its link for ever; a detached pull with limits of its own does not."""
        return self.patient or (self.detached and self.attempts is None and self.patience is None)


class PullCost(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a pull has cost, over all its attempts; see `interfaces.traffic.Account`.

    Attributes:
        sources: Bytes received, headers included, by the registry or mirror that was asked.
        useful: Bytes of them that were new content.
        retries: How often a connection failed or a request was refused for now, by cause.
        seconds: How long the pull was in each state. Times when no process was running count for a pull that was
            queued, paused or waiting for credentials, and not for one that was to run.
        receiving_seconds: How long layers were being received.
        counted: Time up to which these are counted, seconds since the epoch.
    """

    sources: dict[str, int] = {}
    useful: int = 0
    retries: dict[str, int] = {}
    seconds: dict[PullState, float] = {}
    receiving_seconds: float = 0.0
    counted: float = 0.0

    @property
    def received(self) -> int:
        """Bytes received, headers included."""
        return sum(self.sources.values())

    @property
    def wasted(self) -> int:
        """Bytes received that were not new content: headers, small requests, bytes received twice, wrong bytes."""
        return max(0, self.received - self.useful)


class PullRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One pull.

    Attributes:
        pull_id: 12 hex digits.
        wish: The wish, with reference and platform spelled out.
        had_login: Whether the request came with a login, which is not stored.
        state: Its state.
        reason: Why it is in that state; empty where there is nothing to say.
        created: When it was requested, seconds since the epoch.
        changed: When its state last changed, seconds since the epoch.
        held: Bytes of layers that are held.
        size: Bytes of all layers; 0 while the manifest is not known.
        digest: Digest of the manifest or index; None while it is not known.
        image_id: ID of the image; None until it is complete.
        cost: Its cost so far.
        found: Bytes of each layer that were here when it was first looked at, by digest of its blob.
        needed: Once it is complete, the bytes that were not here, including manifests and config if they were fetched.
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
        """Bytes of its layers that did not have to be fetched."""
        return sum(self.found.values())


class PullStore(Protocol):
    """Records of pulls. Those that have not ended are always kept; of the others, the newest."""

    def put(self, record: PullRecord) -> None:
        """Record a pull; one with the same ID is replaced. Durable when this returns.

        Raises:
            StoreError: The disk failed.
        """

    def get(self, prefix: str) -> PullRecord:
        """Return the pull with this ID, or the only one whose ID begins with `prefix`.

        Raises:
            NotFoundError: There is none.
            ConflictError: Several IDs begin with `prefix`.
        """

    def list(self) -> list[PullRecord]:
        """Return every pull, newest first."""
