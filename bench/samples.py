"""What was measured, and the arithmetic on it.

Rule: programs are compared run against run within one round and never by an average of one against an
average of the other: what else the machine does changes by the minute and hits both runs of a pair.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

OURS = "headway"


@dataclass(frozen=True, slots=True)
class Sample:
    """One pull.

    ``sync_seconds`` is how long the disk took afterwards to write what the program had left in memory.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    written_bytes: int
    fetched_bytes: int
    sync_seconds: float


@dataclass(frozen=True, slots=True)
class Spread:
    """The lowest, the middle and the highest of some figures."""

    lowest: float
    middle: float
    highest: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        """Summarise one or more figures."""
        return cls(min(figures), median(figures), max(figures))


@dataclass(frozen=True, slots=True)
class Metric:
    """One column: what it is called, what it reads from a sample and how many of it make one unit.

    ``is_cost`` says whether the program pays it, so that a ratio of two programs means something.
    """

    name: str
    unit: str
    read: Callable[[Sample], float]
    decimals: int = 0
    is_cost: bool = True


MEBIBYTE = 1 << 20
METRICS = (
    Metric("wall", "s", lambda sample: sample.wall_seconds, decimals=2),
    Metric("wall + sync", "s", lambda sample: sample.wall_seconds + sample.sync_seconds, decimals=2),
    Metric("CPU", "s", lambda sample: sample.cpu_seconds, decimals=2),
    Metric("peak RSS", "MiB", lambda sample: sample.peak_rss_bytes / MEBIBYTE),
    Metric("written", "MiB", lambda sample: sample.written_bytes / MEBIBYTE),
    Metric("from registry", "MiB", lambda sample: sample.fetched_bytes / MEBIBYTE, is_cost=False),
)
COSTS = tuple(metric for metric in METRICS if metric.is_cost)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything measured on one image.

    Args:
        image: What the image is called in tables.
        rounds: For each round, one sample per program by name.
        twins: Headway measured twice in a row: what two equal programs differ by here.
    """

    image: str
    rounds: Sequence[Mapping[str, Sample]]
    twins: Sequence[tuple[Sample, Sample]]

    @property
    def programs(self) -> list[str]:
        """The programs' names, in the order in which they ran."""
        return list(self.rounds[0])

    @property
    def peers(self) -> list[str]:
        """The programs other than Headway."""
        return [name for name in self.programs if name != OURS]

    def spread(self, program: str, metric: Metric) -> Spread:
        """Summarise a program's figures over the rounds."""
        return Spread.of([metric.read(each[program]) for each in self.rounds])

    def ratio(self, peer: str, metric: Metric) -> Spread:
        """Summarise peer / Headway, round by round: above 1 Headway needs less."""
        return _ratios([(each[peer], each[OURS]) for each in self.rounds], metric)

    def noise(self, metric: Metric) -> Spread:
        """Summarise Headway / Headway over the pairs of equal runs: away from 1 is noise."""
        return _ratios(self.twins, metric)


def _ratios(pairs: Sequence[tuple[Sample, Sample]], metric: Metric) -> Spread:
    return Spread.of([_ratio(metric.read(first), metric.read(second)) for first, second in pairs])


def _ratio(first: float, second: float) -> float:
    """Return how many times the second figure the first one is; a pull with nothing to do may write nothing."""
    if second:
        return first / second
    return math.inf if first else 1.0
