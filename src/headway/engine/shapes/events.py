"""Events in the Engine API's JSON (moby-behaviour 8.1)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import UNSET, UnsetType

from headway.records import Event
from headway.service.event_query import SCOPE
from headway.service.moments import SECOND

_WITH_ID = frozenset(("image", "container"))


class Actor(msgspec.Struct, frozen=True):
    """Whom it happened to."""

    ID: str
    Attributes: Mapping[str, str]


class EventMessage(msgspec.Struct, frozen=True):
    """One line of ``GET /events``; `status`, `id` and `from` are those of before there were types."""

    Type: str
    Action: str
    Actor: Actor
    time: int
    timeNano: int  # noqa: N815  # Docker's name
    status: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    from_: str | UnsetType = msgspec.field(default=UNSET, name="from")
    scope: str | UnsetType = UNSET


def event_message(event: Event) -> EventMessage:
    """Return an event as clients of every version up to 1.51 see it."""
    has_id = event.type in _WITH_ID
    image = event.attributes.get("image", "") if event.type == "container" else ""
    return EventMessage(
        Type=event.type,
        Action=event.action,
        Actor=Actor(event.actor, event.attributes),
        time=event.time_nano // SECOND,
        timeNano=event.time_nano,
        status=event.action if has_id else UNSET,
        id=(event.actor or UNSET) if has_id else UNSET,
        from_=image or UNSET,
        scope=SCOPE,
    )
