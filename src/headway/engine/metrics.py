"""Measurements as Prometheus reads them (text exposition format 0.0.4), and how long requests take.

Rule: a label's values come from a fixed set (routes, states, causes): nothing that a client or a registry sends makes a
      new series.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import msgspec

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram's buckets, in seconds: those that Prometheus' own clients have."""


class Sample(msgspec.Struct, frozen=True):
    """One value.

    Attributes:
        value: The value.
        labels: Its labels.
        suffix: Appended to the family's name, as in histograms.
    """

    value: float
    labels: Mapping[str, str] = {}
    suffix: str = ""


class Family(msgspec.Struct, frozen=True):
    """All values of one kind.

    Attributes:
        name: Its name without a suffix; a counter's ends in ``_total``.
        kind: ``counter``, ``gauge`` or ``histogram``.
        help: One sentence.
        samples: The values.
    """

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]


def exposition(families: Iterable[Family]) -> str:
    """Return families as text."""
    return "".join(line for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.kind}\n"
    for sample in family.samples:
        labels = ",".join(f'{key}="{_escaped(text)}"' for key, text in sample.labels.items())
        yield f"{family.name}{sample.suffix}{f'{{{labels}}}' if labels else ''} {_number(sample.value)}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


class RequestTimes:
    """How long requests take, by method, route and status; for the event loop only."""

    def __init__(self) -> None:
        self._counts: defaultdict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0] * (len(BUCKETS) + 1))
        self._sums: defaultdict[tuple[str, str, int], float] = defaultdict(float)

    def took(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered; one that streams lasts as long as its stream."""
        key = (method, route, status)
        self._counts[key][bisect_left(BUCKETS, seconds)] += 1
        self._sums[key] += seconds

    def family(self) -> Family:
        """Return them as a histogram."""
        name, help_text = "headway_http_request_seconds", "How long requests took, streams to their end."
        return Family(name, "histogram", help_text, tuple(self._samples()))

    def _samples(self) -> Iterator[Sample]:
        for key, counts in sorted(self._counts.items()):
            labels = dict(zip(("method", "route", "status"), map(str, key), strict=True))
            total = 0
            for bound, count in zip((*map(_number, BUCKETS), "+Inf"), counts, strict=True):
                total += count
                yield Sample(total, {**labels, "le": bound}, "_bucket")
            yield Sample(self._sums[key], labels, "_sum")
            yield Sample(total, labels, "_count")
