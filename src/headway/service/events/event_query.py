"""Which events somebody asks for (moby-behaviour 8.1, 8.5).

Rule: filters that events do not know are ignored, as Docker ignores them here and only here.
"""

from __future__ import annotations

import msgspec

from headway.errors import InvalidReferenceError, InvalidTimeError
from headway.oci.reference import Reference
from headway.records import Event
from headway.service.queries.filters import Filters, labels_match
from headway.service.queries.moments import parse_moment

SCOPE = "local"
# Docker's names for who did it. Here most of them never do anything, and whoever asks for theirs is told of none.
_ACTORS = ("config", "container", "daemon", "network", "node", "plugin", "secret", "service", "volume")
_ANY_ACTION_OF = ("health_status", "exec_create", "exec_start")


class EventQuery(msgspec.Struct, frozen=True):
    """What to show.

    Attributes:
        since: Only what happened later, nanoseconds since the epoch; None where only `until` counts, or nothing.
        until: Nothing that happened later, and the end once it has come.
        filters: ``type``, ``event``, ``image``, ``label``, ``scope``, and ``container``, ``daemon``, ``network`` and
            Docker's other actors.
    """

    since: int | None = None
    until: int | None = None
    filters: Filters = {}

    @classmethod
    def parse(cls, since: str, until: str, filters: Filters, *, now: int) -> EventQuery:
        """Return the query that texts spell; an empty one says nothing.

        Raises:
            InvalidTimeError: A time that is none, or the end before the beginning.
        """
        begin = parse_moment(since, now=now) if since else None
        end = parse_moment(until, now=now) if until else None
        if begin is not None and end is not None and begin > end:
            raise InvalidTimeError(f"`since` time ({since}) cannot be after `until` time ({until})")
        return cls(begin, end, filters)

    @property
    def looks_back(self) -> bool:
        """Whether it asks for what has happened already."""
        return self.since is not None or self.until is not None

    def wants(self, event: Event) -> bool:
        """Tell whether an event is to be shown: filters of different names all have to let it through."""
        if self.since is not None and event.time_nano <= self.since:
            return False
        if self.until is not None and event.time_nano > self.until:
            return False
        return all(
            (
                self._is("type", event.type),
                self._is_action(event.action),
                self._is("scope", SCOPE),
                self._is("image", *_image_names(event)),
                labels_match(self.filters.get("label", ()), event.attributes),
                *(self._starts(actor, event) for actor in _ACTORS),
            )
        )

    def _is(self, key: str, *texts: str) -> bool:
        values = self.filters.get(key)
        return not values or any(text in values for text in texts)

    def _is_action(self, action: str) -> bool:
        values = self.filters.get("event", ())
        if any(each in values for each in _ANY_ACTION_OF):
            return any(action.startswith(value) for value in values)
        return self._is("event", action)

    def _starts(self, key: str, event: Event) -> bool:
        values = self.filters.get(key)
        return not values or any(
            text.startswith(value) for value in values for text in (event.actor, event.attributes.get("name", ""))
        )


def _image_names(event: Event) -> tuple[str, ...]:
    """Return by which names an ``image`` filter knows an event."""
    name = event.attributes.get("name" if event.type == "image" else "image", "")
    return event.actor, name, _without_tag(event.actor), _without_tag(name)


def _without_tag(name: str) -> str:
    try:
        return Reference.parse(name).familiar_name
    except InvalidReferenceError:
        return name
