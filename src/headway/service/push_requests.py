"""What Headway's own command asks of its daemon to push, and how it is told (``/headway/push``)."""

from __future__ import annotations

import msgspec

from headway import wire
from headway.service.progress import Notice, Waiting
from headway.service.push_progress import LayerPush, PushDone, PushEvent, PushStarted


class PushWish(msgspec.Struct, frozen=True, kw_only=True):
    """What to push.

    Attributes:
        reference: Without a tag, every tag of the repository that is here.
        platform: Push this platform's manifest alone; empty for what the name stands for.
        insecure: Hosts that may be asked without verified TLS, beside the daemon's own.
    """

    reference: str
    platform: str = ""
    insecure: tuple[str, ...] = ()


class PushLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of what a push tells.

    Attributes:
        type: The name of the event's class; empty in a line that tells of an error.
        event: The event.
        error: Why the push ended; nothing comes behind it.
    """

    type: str = ""
    event: msgspec.Raw = msgspec.Raw(b"null")
    error: wire.ToldError | None = None

    @classmethod
    def of(cls, event: PushEvent) -> PushLine:
        """Return the line that tells of an event."""
        return cls(type=type(event).__name__, event=msgspec.Raw(wire.encode(event)))

    def encode(self) -> bytes:
        """Return the line as it is sent."""
        return wire.encode(self) + b"\n"

    def heard(self) -> PushEvent | None:
        """Return the event; None for one of a kind that this version does not know.

        Raises:
            HeadwayError: The push has ended so.
        """
        if self.error is not None:
            raise wire.heard(self.error)
        kind = _EVENTS.get(self.type)
        return None if kind is None else wire.decode(self.event, kind)


_EVENTS: dict[str, type[PushEvent]] = {
    kind.__name__: kind for kind in (PushStarted, Waiting, Notice, LayerPush, PushDone)
}
