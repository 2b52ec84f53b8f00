"""Events in the Engine API's JSON (moby-behaviour 8.1)."""

from __future__ import annotations

from headway.records import Event
from headway.service.events.event_query import SCOPE
from headway.service.queries.moments import SECOND


def event_message(event: Event) -> dict[str, object]:
    """Return an event as clients of every version up to 1.51 see it.

    ``status``, ``id`` and ``from`` are those of before there were types.
    """
    shape: dict[str, object] = {
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.actor, "Attributes": event.attributes},
        "time": event.time_nano // SECOND,
        "timeNano": event.time_nano,
    }
    if event.type in ("image", "container"):
        shape["status"] = event.action
        if event.actor:
            shape["id"] = event.actor
    if event.type == "container" and (image := event.attributes.get("image")):
        shape["from"] = image
    return shape | {"scope": SCOPE}
