"""Removes containers that are not in use: `docker container prune`.

Rule: a container is in use while its file system is mounted, for Headway runs none (docs/moby-parity.md).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Lock

import msgspec

from headway.container_records import ContainerRecord
from headway.errors import ConflictError, HeadwayError, NotFoundError
from headway.service.containers.containers import Containers, labels_of
from headway.service.images.prune import only_prune
from headway.service.queries.filters import NO_FILTERS, Filters, labels_match, require_known
from headway.service.queries.moments import parse_until
from headway.service.stores import Stores

log = logging.getLogger(__name__)

KNOWN_FILTERS = frozenset({"label", "label!", "until"})


class ContainerPruneReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a prune has removed.

    Attributes:
        deleted: IDs of the containers, newest first.
        size: Bytes that had been written in them, as Docker counts.
    """

    deleted: tuple[str, ...] = ()
    size: int = 0


class ContainerPruner:
    """Prunes the containers of one store; a process has only one, since its prunes exclude each other.

    Args:
        stores: The store.
        clock: Nanoseconds since the epoch, for ``until=24h``.
    """

    def __init__(self, stores: Stores, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._stores = stores
        self._containers = Containers(stores)
        self._clock = clock
        self._running = Lock()

    def prune(
        self,
        filters: Filters = NO_FILTERS,
        *,
        stopped: Callable[[], bool] = lambda: False,
    ) -> ContainerPruneReport:
        """Remove the containers that are not in use and pass the filters.

        Args:
            filters: ``until``, ``label``, ``label!``.
            stopped: Called before each container; once it returns True, the rest is kept.

        Raises:
            ConflictError: Another prune is running.
            InvalidFilterError: An unknown filter.
            InvalidTimeError: ``until`` is not a time, or there are several.
            StoreError: The disk failed.
        """
        with only_prune(self._running):
            deleted, size = [], 0
            for container in self._candidates(filters):
                if stopped():
                    break
                if (written := self._remove(container)) is not None:
                    deleted.append(container.container_id)
                    size += written
            self._stores.events.tell("container", "prune", "", {"reclaimed": str(size)})
            return ContainerPruneReport(deleted=tuple(deleted), size=size)

    def _candidates(self, filters: Filters) -> list[ContainerRecord]:
        require_known(filters, KNOWN_FILTERS)
        until = parse_until(filters.get("until", ()), now=self._clock())

        def is_wanted(container: ContainerRecord) -> bool:
            labels = labels_of(container)
            if "label!" in filters and labels_match(filters["label!"], labels):
                return False
            return labels_match(filters.get("label", ()), labels) and (until is None or container.created_nano <= until)

        return [container for container in self._containers.list() if is_wanted(container)]

    def _remove(self, container: ContainerRecord) -> int | None:
        """Remove a container; return how many bytes were written in it, or None if it was not removed."""
        try:
            written = self._stores.rw_layers.get(container.container_id).size()
            self._containers.remove(container.container_id)
        except (ConflictError, NotFoundError):
            return None  # it is in use, or somebody else has removed it
        except HeadwayError as error:
            log.warning("failed to prune container %s: %s", container.container_id, error)
            return None
        return written
