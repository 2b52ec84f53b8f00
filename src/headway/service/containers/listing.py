"""Lists containers, filtered as docker's clients ask (moby-behaviour 6.19).

Rule: a container has to pass every filter; of several values for one filter, one is enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from headway.container_records import ContainerRecord
from headway.errors import HeadwayError, InvalidFilterError
from headway.oci.digest import ImageID
from headway.service.containers.containers import labels_of
from headway.service.containers.places import networks_of, volumes_of
from headway.service.images.lookup import Lookup
from headway.service.queries.filters import NO_FILTERS, Filters, labels_match, require_known, truth
from headway.service.queries.name_patterns import NamePattern
from headway.service.stores import Records

_OF_RUNNING = frozenset({"expose", "publish", "exited"})
_OF_HOST = frozenset({"health", "is-task", "isolation", "network", "volume"})
KNOWN_FILTERS = frozenset({"ancestor", "before", "id", "label", "name", "since", "status"}) | _OF_RUNNING | _OF_HOST
_EXIT_CODE = re.compile(r"[+-]?[0-9]{1,19}")
_HEALTH = frozenset({"none", "starting", "healthy", "unhealthy"})
_STATES = frozenset({"paused", "restarting", "removing", "running", "dead", "created", "exited"})


class ContainerListing:
    """Lists containers."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._lookup = Lookup(records)

    def containers(
        self,
        filters: Filters = NO_FILTERS,
        *,
        stopped: bool = False,
        limit: int = 0,
    ) -> list[ContainerRecord]:
        """Return containers, newest first.

        Args:
            filters: Docker's filters; no container passes one that only a running container can meet.
            stopped: Also list containers that do not run: in Headway, all. Not needed beside a ``status`` filter.
            limit: How many to list at most, running or not; 0 for all.

        Raises:
            InvalidFilterError: An unknown filter, or a value that it cannot have.
            NotFoundError: ``before`` or ``since`` names no container.
        """
        require_known(filters, KNOWN_FILTERS)
        _require_possible(filters)
        shows_any = not _asks_for_running(filters) and (stopped or limit > 0 or "status" in filters)
        every = self._records.containers.list() if shows_any else []
        named = _named(filters.get("name"), every)
        bounds = [self._records.containers.get(word).created_nano for word in filters.get("before", ())]
        starts = [self._records.containers.get(word).created_nano for word in filters.get("since", ())]
        ancestors = self._ancestors(filters)
        meant = _meant(filters.get("id"), every)
        found = [
            container
            for container in every
            if all(container.created_nano < bound for bound in bounds)
            and all(container.created_nano > start for start in starts)
            and (meant is None or container.container_id in meant)
            and (ancestors is None or container.image_id in ancestors)
            and (named is None or container.container_id in named)
            and _is_wanted(container, filters)
        ]
        return found[:limit] if limit > 0 else found

    def image_name(self, container: ContainerRecord) -> str:
        """Return the name to show for a container's image: as the user spelled it, or its ID if that name has moved."""
        try:
            if self._lookup.find(container.image).image_id == container.image_id:
                return container.image
        except HeadwayError:
            pass
        return str(container.image_id or container.image)

    def _ancestors(self, filters: Filters) -> set[ImageID] | None:
        """Return the images of ``ancestor`` filters, with all that were made from them here; None without a filter."""
        if "ancestor" not in filters:
            return None
        found: set[ImageID] = set()
        for word in filters["ancestor"]:
            try:
                todo = [self._lookup.find(word).image_id]
            except HeadwayError:
                continue  # as in Docker: an image that does not exist has no containers
            while todo:
                image_id = todo.pop()
                if image_id not in found:
                    found.add(image_id)
                    todo += self._records.images.children(image_id)
        return found


def _require_possible(filters: Filters) -> None:
    for key, is_possible in (
        ("status", _STATES.__contains__),
        ("health", _HEALTH.__contains__),
        ("exited", _EXIT_CODE.fullmatch),
    ):
        if unknown := [value for value in filters.get(key, ()) if not is_possible(value)]:
            raise InvalidFilterError(key, unknown)


def _asks_for_running(filters: Filters) -> bool:
    return truth(filters, "is-task") is True or any(filters.get(key) for key in _OF_RUNNING)


def _matches(values: Sequence[str] | None, meets: Callable[[str], bool]) -> bool:
    return not values or any(meets(value) for value in values)


def _meant(words: Sequence[str] | None, containers: Sequence[ContainerRecord]) -> set[str] | None:
    """Return the IDs of containers that ``id`` filters name by an unambiguous beginning; None without a filter.

    As in Docker an empty word names none: a script whose variable is empty must not remove all containers.
    """
    if not words:
        return None
    begun = [[each.container_id for each in containers if each.container_id.startswith(word)] for word in words if word]
    return {found[0] for found in begun if len(found) == 1}


def _named(patterns: Sequence[str] | None, containers: Sequence[ContainerRecord]) -> set[str] | None:
    """Return the IDs of containers whose name, with or without its slash, matches a pattern; None without a filter."""
    if not patterns:
        return None
    found: set[str] = set()
    for pattern in map(NamePattern, patterns):  # compiled one at a time: thousands of them would take much memory
        found |= {
            each.container_id for each in containers if pattern.is_in(each.name) or pattern.is_in(f"/{each.name}")
        }
    return found


def _is_wanted(container: ContainerRecord, filters: Filters) -> bool:
    return (
        _matches(filters.get("status"), lambda value: container.state == value)
        and labels_match(filters.get("label", ()), labels_of(container))
        and _matches(filters.get("health"), lambda value: value == "none")  # as for any container that never ran
        and _matches(filters.get("network"), lambda value: value in networks_of(container))
        and _matches(filters.get("volume"), lambda value: value in volumes_of(container))
    )
