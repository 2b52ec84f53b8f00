"""What Headway's own command asks of its daemon, where that is more than a name (``/headway/…``)."""

from __future__ import annotations

from pathlib import Path

import msgspec

from headway.interfaces.usage import Usage
from headway.records import Event
from headway.service.images.listing import ListedImage


class PruneRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to prune; see `service.images.prune.Pruner`.

    Attributes:
        filters: Which images.
        unfinished: Whether unfinished downloads go, too.
        dry_run: Whether only to say what would go.
    """

    filters: dict[str, list[str]] = {}
    unfinished: bool = False
    dry_run: bool = False


class MountRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to mount, and where; see `service.containers.mounting.Mounting.mount`."""

    name: str
    directory: Path | None = None
    read_write: bool = False


class UnmountRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to give back; see `service.containers.mounting.Mounting.unmount`."""

    name: str
    place: Path
    remove: bool = False


class Measured(msgspec.Struct, frozen=True):
    """What takes up how much, and the images that this speaks of."""

    usage: Usage
    images: list[ListedImage]


class HeardEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a stream of events.

    Attributes:
        event: What happened; None in a line that tells of missing ones.
        missed: How many events before the next one the log has let go.
    """

    event: Event | None = None
    missed: int = 0


class PriorityRequest(msgspec.Struct, frozen=True):
    """How urgent a pull is: higher goes first, 0 is normal."""

    priority: int
