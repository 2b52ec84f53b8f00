"""What crossed the network, in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from headway.interfaces.traffic import Errand, Traffic, TrafficRow


class MemoryTraffic:
    """`TrafficStore` in a dict."""

    def __init__(self, *, history: int = 400) -> None:
        self._sums: dict[str, dict[Errand, Traffic]] = defaultdict(dict)
        self._history = history

    def add(self, day: str, counted: Mapping[Errand, Traffic]) -> None:
        for errand, traffic in counted.items():
            self._sums[day][errand] = self._sums[day].get(errand, Traffic()) + traffic
        for old in sorted(self._sums)[: -self._history]:
            del self._sums[old]

    def days(self, since: str = "", until: str = "") -> list[TrafficRow]:
        return [
            TrafficRow(day, errand, self._sums[day][errand])
            for day in sorted(self._sums)
            if since <= day and (not until or day <= until)
            for errand in sorted(self._sums[day], key=lambda each: (each.registry, each.image))
        ]
