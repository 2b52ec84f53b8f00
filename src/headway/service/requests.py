"""What Headway's own command asks of its daemon, where that is more than a name (``/headway/…``)."""

from __future__ import annotations

from pathlib import Path

import msgspec

from headway import wire
from headway.interfaces.usage import Usage
from headway.records import Event
from headway.service.listing import ListedImage
from headway.service.progress import LayerProgress, Notice, PullDone, PullEvent, PullStarted, Waiting

_EVENTS: dict[str, type[PullEvent]] = {
    kind.__name__: kind for kind in (PullStarted, Waiting, Notice, LayerProgress, PullDone)
}


class PruneRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to prune; see `service.prune.Pruner`.

    Attributes:
        filters: Which images.
        unfinished: Whether unfinished downloads go, too.
        dry_run: Whether only to say what would go.
    """

    filters: dict[str, list[str]] = {}
    unfinished: bool = False
    dry_run: bool = False


class MountRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to mount, and where; see `service.mounting.Mounting.mount`."""

    name: str
    directory: Path | None = None
    read_write: bool = False


class UnmountRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to give back; see `service.mounting.Mounting.unmount`."""

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


class PullLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of what a pull tells.

    Attributes:
        type: The name of the event's class in `service.progress`; empty in a line that tells of an error.
        event: The event.
        error: Why the pull ended; nothing comes behind it.
    """

    type: str = ""
    event: msgspec.Raw = msgspec.Raw(b"null")
    error: wire.ToldError | None = None

    @classmethod
    def of(cls, event: PullEvent) -> PullLine:
        """Return the line that tells of an event."""
        return cls(type=type(event).__name__, event=msgspec.Raw(wire.encode(event)))

    def encode(self) -> bytes:
        """Return the line as it is sent."""
        return wire.encode(self) + b"\n"

    def heard(self) -> PullEvent | None:
        """Return the event; None for one of a kind that this version does not know.

        Raises:
            HeadwayError: The pull has ended so.
        """
        if self.error is not None:
            raise wire.heard(self.error)
        kind = _EVENTS.get(self.type)
        return None if kind is None else wire.decode(self.event, kind)
