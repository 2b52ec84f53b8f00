"""Lists images, filtered as docker's clients ask (moby-behaviour 6.3).

Rule: a list reads records only, not configs, so that a thousand images take milliseconds.
"""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from headway.errors import HeadwayError
from headway.oci.digest import ImageID
from headway.oci.moment import microseconds
from headway.oci.reference import Reference
from headway.records import ImageRecord
from headway.service.images.lookup import Lookup
from headway.service.images.sharing import shared_sizes
from headway.service.queries.filters import NO_FILTERS, Filters, labels_match, reference_pattern, require_known, truth
from headway.service.queries.moments import parse_moment
from headway.service.stores import Records

KNOWN_FILTERS = frozenset({"dangling", "label", "before", "since", "reference", "until"})
NOT_ASKED = -1


class ListedImage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One image with its names, as lists show it.

    Attributes:
        record: The image.
        tags: Those of its tags that the filters let pass, sorted by their full spelling.
        digests: The same for its digest references.
        labels: Those of its config.
        containers: How many containers were created from it; -1 where that was not asked for.
        shared_size: Bytes of layers that it shares with another listed image; -1 where that was not asked for.
    """

    record: ImageRecord
    tags: tuple[Reference, ...]
    digests: tuple[Reference, ...]
    labels: Mapping[str, str]
    containers: int = NOT_ASKED
    shared_size: int = NOT_ASKED


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The filters, parsed: times in microseconds since the epoch; None where there is no such filter."""

    dangling: bool | None
    before: int | None
    since: int | None
    labels: Sequence[str]
    patterns: Sequence[re.Pattern[str]] | None

    def is_in_time(self, record: ImageRecord) -> bool:
        if self.before is None and self.since is None:
            return True
        created = microseconds(record.created)
        if created is None:
            return False
        return (self.before is None or created < self.before) and (self.since is None or created > self.since)

    def names(self, names: Sequence[Reference]) -> Sequence[Reference]:
        """Return the names that match a ``reference`` filter, or all without one."""
        patterns = self.patterns
        if patterns is None:
            return names
        return [
            name
            for name in names
            if any(pattern.fullmatch(name.familiar) or pattern.fullmatch(name.familiar_name) for pattern in patterns)
        ]

    def shows(self, names: Sequence[Reference], *, is_hidden: bool) -> bool:
        """Tell whether to show an image.

        Args:
            names: Its names that passed the filters.
            is_hidden: Whether it is shown only if it has such a name.
        """
        if not names:
            return self.dangling is not False and self.patterns is None and not is_hidden
        return not (self.dangling and any(name.digest is None for name in names))


class Listing:
    """Lists images.

    Args:
        records: Of images, names and containers.
        clock: Nanoseconds since the epoch, for ``until=10m``.
    """

    def __init__(self, records: Records, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._records = records
        self._lookup = Lookup(records)
        self._clock = clock

    def images(
        self,
        filters: Filters = NO_FILTERS,
        *,
        intermediate: bool = False,
        containers: bool = False,
        shared_size: bool = False,
    ) -> list[ListedImage]:
        """Return images, newest first.

        Args:
            filters: ``dangling``, ``label``, ``before``, ``since``, ``reference``, ``until``.
            intermediate: Also list images without a name that are only parents of others (docker's ``--all``).
            containers: Count the containers of each image.
            shared_size: Compute how much of each image is shared.

        Raises:
            InvalidFilterError: An unknown filter, or a value that it cannot have.
            InvalidTimeError: ``until`` is not a time.
            NotFoundError: ``before`` or ``since`` names no image.
        """
        wanted = self._wanted(filters)
        listed = list(self._selected(wanted, intermediate=intermediate))
        if containers:
            counts = Counter(container.image_id for container in self._records.containers.list())
            listed = [msgspec.structs.replace(each, containers=counts[each.record.image_id]) for each in listed]
        return self._with_shared_sizes(listed) if shared_size else listed

    def _with_shared_sizes(self, listed: Sequence[ListedImage]) -> list[ListedImage]:
        """Return images with their shared sizes; leave out those that were removed after they were listed."""
        sizes = self._records.layers.sizes()
        here = [each for each in listed if each.record.chain_id in sizes or self._is_recorded(each)]
        if not all(each.record.chain_id in sizes for each in here if each.record.chain_id is not None):
            sizes = self._records.layers.sizes()  # an image was removed and came back between the two reads
        shared = shared_sizes([each.record.chain_id for each in here], sizes)
        return [msgspec.structs.replace(each, shared_size=size) for each, size in zip(here, shared, strict=True)]

    def _is_recorded(self, image: ListedImage) -> bool:
        return self._records.images.get(image.record.image_id) is not None

    def _wanted(self, filters: Filters) -> _Wanted:
        require_known(filters, KNOWN_FILTERS)
        untils = [parse_moment(text, now=self._clock()) // 1_000 for text in filters.get("until", ())]
        befores = [*self._moments(filters.get("before", ())), *untils]
        sinces = self._moments(filters.get("since", ()))
        return _Wanted(
            dangling=truth(filters, "dangling"),
            before=min(befores, default=None),
            since=max(sinces, default=None),
            labels=filters.get("label", ()),
            patterns=[reference_pattern(text) for text in filters["reference"]] if "reference" in filters else None,
        )

    def _moments(self, words: Sequence[str]) -> list[int]:
        """Return when images were created; one that does not say counts as the oldest of all."""
        return [microseconds(self._lookup.find(word).created) or 0 for word in words]

    def _selected(self, wanted: _Wanted, *, intermediate: bool) -> Iterator[ListedImage]:
        names = self._names()
        parents = self._records.images.parents()
        records = self._records.images.list()
        if any(record.image_id not in names for record in records):
            # An image recorded between the two reads has its names by now. Scripts remove images shown without a name.
            names = {**self._names(), **names}
        for record in records:
            is_parent = record.image_id in parents
            if (wanted.dangling and is_parent) or not wanted.is_in_time(record):
                continue
            labels = self._labels(record)
            if not labels_match(wanted.labels, labels):
                continue
            shown = wanted.names(names.get(record.image_id, ()))
            if wanted.shows(shown, is_hidden=is_parent and not intermediate):
                tags = tuple(name for name in shown if name.digest is None)
                digests = tuple(name for name in shown if name.digest is not None)
                yield ListedImage(record=record, tags=tags, digests=digests, labels=labels)

    def _names(self) -> dict[ImageID, list[Reference]]:
        names: dict[ImageID, list[Reference]] = defaultdict(list)
        for reference, image_id in self._records.references.list():
            names[image_id].append(reference)
        return names

    def _labels(self, record: ImageRecord) -> Mapping[str, str]:
        if record.labels is not None:
            return record.labels
        try:
            return self._lookup.config(record).labels
        except HeadwayError:
            return {}  # the config is damaged: `inspect` reports it, a list shows what it can
