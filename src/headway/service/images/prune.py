"""Removes images that are not in use, and then all content that nothing needs (moby-behaviour 6.10).

Rule 1: an image that a container or a mount uses keeps all its names; Moby removes the names that it can.
Rule 2: an image that was pulled or tagged after the images were listed is kept.
Rule 3: a dry run really prunes a copy of the records (`composition.writing.imagining`), so that what is promised and
        what is done come from the same code.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

import msgspec

from headway.errors import ConflictError, HeadwayError, NotFoundError, StoreError
from headway.oci.moment import microseconds
from headway.records import Freed
from headway.service.images.delete import remove_listed
from headway.service.images.listing import ListedImage, Listing
from headway.service.queries.filters import NO_FILTERS, Filters, labels_match, require_known, truth
from headway.service.queries.moments import parse_until
from headway.service.stores import Stores

KNOWN_FILTERS = frozenset({"dangling", "label", "label!", "until"})


class PruneReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a prune has removed.

    Attributes:
        deleted: In order, as docker prints it: ``("Untagged", name)``, ``("Deleted", digest)``.
        images: How many images were removed.
        disk_bytes: Bytes of disk space that were freed.
        size: Sum of the removed layers' sizes, as Docker counts, in bytes.
        kept: What could not be removed, and why, a sentence each.
    """

    deleted: tuple[tuple[str, str], ...] = ()
    images: int = 0
    disk_bytes: int = 0
    size: int = 0
    kept: tuple[str, ...] = ()


@contextmanager
def only_prune(running: Lock) -> Iterator[None]:
    """Hold the lock that lets one prune of a kind run at a time.

    Raises:
        ConflictError: Another prune holds it.
    """
    if not running.acquire(blocking=False):
        raise ConflictError("a prune operation is already running")
    try:
        yield
    finally:
        running.release()


class Pruner:
    """Prunes one store; a process has only one, since its prunes exclude each other.

    Args:
        stores: The store.
        clock: Nanoseconds since the epoch, for ``until=24h``.
    """

    def __init__(self, stores: Stores, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._stores = stores
        self._listing = Listing(stores, clock=clock)
        self._clock = clock
        self._running = Lock()

    def prune(
        self,
        filters: Filters = NO_FILTERS,
        *,
        unfinished: bool = False,
        stopped: Callable[[], bool] = lambda: False,
    ) -> PruneReport:
        """Remove images that are not in use and pass the filters, and then all content that nothing needs.

        Args:
            filters: ``dangling`` (by default true: only images without a tag), ``label``, ``label!``, ``until``.
            unfinished: Also remove unfinished downloads, and layers of pulls that were stopped.
            stopped: Called before each image; once it returns True, the rest is kept.

        Raises:
            ConflictError: Another prune is running.
            InvalidFilterError: An unknown filter, or a value that it cannot have.
            InvalidTimeError: ``until`` is not a time, or there are several.
            StoreError: The disk failed.
        """
        with only_prune(self._running):
            work = _Prune(self._stores)
            for image in self._candidates(filters):
                if stopped():
                    break
                work.remove(image)
            else:
                work.collect(unfinished=unfinished)
            report = work.report()
            self._stores.events.tell("image", "prune", "", {"reclaimed": str(report.disk_bytes)})
            return report

    def _candidates(self, filters: Filters) -> list[ListedImage]:
        """Return the images that may be removed, newest first, so that a child comes before its parent."""
        require_known(filters, KNOWN_FILTERS)
        is_dangling_only = truth(filters, "dangling") is not False
        until = parse_until(filters.get("until", ()), now=self._clock())
        parents = self._stores.images.parents()

        def is_wanted(image: ListedImage) -> bool:
            is_parent = image.record.image_id in parents
            if is_parent and (is_dangling_only or not (image.tags or image.digests)):
                return False
            if is_dangling_only and image.tags:
                return False
            if "label!" in filters and labels_match(filters["label!"], image.labels):
                return False
            if until is None:
                return True
            created = microseconds(image.record.created)
            return created is not None and created <= until // 1_000  # an image without a date is not known to be old

        listed = self._listing.images({"label": filters.get("label", ())}, intermediate=True)
        return [image for image in listed if is_wanted(image)]


class _Prune:
    """One running prune."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._before = stores.images.count()
        self._deleted: list[tuple[str, str]] = []
        self._freed: list[Freed] = []
        self._kept: list[str] = []

    def remove(self, image: ListedImage) -> None:
        """Remove an image with all its names, unless it is in use; a conflict leaves it as it is."""
        image_id = image.record.image_id
        try:
            removal = remove_listed(self._stores, image_id, (*image.tags, *image.digests))
        except (ConflictError, NotFoundError):
            return  # it is needed, or somebody else has removed it
        except HeadwayError as error:
            self._kept.append(f"image {image_id.short}: {error}")
            return
        self._deleted += removal.done
        self._freed += removal.freed

    def collect(self, *, unfinished: bool) -> None:
        """Remove all content that nothing needs."""
        freed = self._stores.garbage.forget_unneeded(unfinished=unfinished)
        try:
            self._stores.garbage.sweep(freed)
        except StoreError as error:  # all else is gone, and has to be told
            self._kept.append(str(error))
        self._deleted += [("Deleted", str(chain_id)) for chain_id in freed.chains]
        self._freed.append(freed)

    def report(self) -> PruneReport:
        return PruneReport(
            deleted=tuple(self._deleted),
            images=self._before - self._stores.images.count(),
            disk_bytes=sum(freed.disk_bytes for freed in self._freed),
            size=sum(freed.size for freed in self._freed),
            kept=tuple(self._kept),
        )
