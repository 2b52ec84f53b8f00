"""What each question costs as the store grows, from ten images to ten thousand, and to a hundred thousand trees.

Rule: what grows is measured in CPU time, which what else the machine does changes least; the least of some rounds
counts.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.plots import pyplot, save
from headway.composition.measuring import measuring
from headway.composition.reading import reading
from headway.composition.writing import writing
from headway.oci.digest import Digest
from headway.service.images.delete import delete_image
from headway.service.images.inspection import details_of
from headway.service.images.listing import Listing
from headway.service.images.prune import Pruner
from headway.settings import Settings
from tests.fakes.daemon import UnixConnection, daemon
from tests.fakes.docker import docker
from tests.fakes.docker_store import write_docker_store
from tests.prove.report import RESULTS
from tests.prove.scale import SHARED, config_of, fill, stacks, start
from tests.prove.scene import short_place
from tests.prove.sheet import Sheet, check

SIZES = (10, 100, 1_000, 10_000)
OWN, MANY_OWN = 1, 10
MOST_TREES = 100_000
ROUNDS = 3
FLOOR_MS = 2.5
"""What takes less is counted as this much: below, the clock and the interpreter decide."""

SLACK = 2.0
"""What a step may cost more at the large end, where the records fit no cache of the CPU; n squared would be 50."""

DOCKER_RATIO, DOCKER_ROUNDS = 0.5, 7

Costs = dict[str, float]
"""CPU time of each question, in ms."""


@dataclass(frozen=True, slots=True)
class Store:
    """A store of a size.

    Attributes:
        images: How many.
        own: Layers of each that no other has.
    """

    images: int
    own: int

    @property
    def trees(self) -> int:
        """How many layers there are."""
        return SHARED + self.images * self.own


@check(
    "growth",
    "List, inspect, df, prune, start and delete at 10 to 10,000 images, and at 100,000 trees: nothing grows more than "
    "twice n log n, inspect and delete do not grow; /images/json at 10,000 images takes <= 0.5 x dockerd's time.",
    needs_root=True,
)
def growth(sheet: Sheet) -> None:
    """Fill stores and ask them; then let dockerd have as many images."""
    costs = {Store(size, OWN): _costs(sheet, Store(size, OWN)) for size in SIZES}
    few, most = Store(SIZES[1], OWN), Store(SIZES[-1], OWN)
    for question in costs[most]:
        ratio = costs[most][question] / costs[few][question]
        limit = _limit(question, most.images, few.images)
        sheet.at_most(f"{question}: {most.images:,} images / {few.images:,}", ratio, limit, "x", decimals=1)
    wide = Store(SIZES[-1], MANY_OWN)
    costs_wide = _costs(sheet, wide)
    sheet.at_least("trees", wide.trees, MOST_TREES)
    for question, cost in costs_wide.items():
        ratio = cost / costs[most][question]
        limit = _limit(question, wide.trees, most.trees)
        sheet.at_most(f"{question}: {wide.trees:,} trees / {most.trees:,}", ratio, limit, "x", decimals=1)
    _plot({store.images: each for store, each in costs.items()}, RESULTS / "prove-growth.svg")
    _beside_docker(sheet)


def _limit(question: str, many: int, few: int) -> float:
    """Return how many times its cost among few a question may cost among many."""
    return SLACK * (1.0 if question in _STEADY else _n_log_n(many) / _n_log_n(few))


def _n_log_n(number: int) -> float:
    return number * math.log(number)


_STEADY = ("inspect", "delete")


def _costs(sheet: Sheet, store: Store) -> Costs:
    root = sheet.place / f"{store.images}-{store.own}"
    fill(root, store.images, tags=1, own=store.own)
    settings = Settings(data_root=root)
    costs = {"start": _least(lambda: start(root))}
    with reading(settings) as records:
        costs["list"] = _least(lambda: Listing(records).images())
        costs["inspect"] = _least(lambda: details_of(records, "registry.example/team/app-7:0"))
    with measuring(settings) as (_, disk):
        costs["df"] = _least(disk.measure)
    with writing(settings, tell=lambda _: None) as stores:
        costs["prune, nothing goes"] = _least(Pruner(stores).prune)
        configs = map(config_of, range(ROUNDS))
        costs["delete"] = _least(lambda: delete_image(stores, str(Digest.of(next(configs))), force=True))
    told = ", ".join(f"{question} {cost:,.0f}" for question, cost in costs.items())
    sheet.tell(f"{store.images:,} images, {store.trees:,} trees: ms of CPU", told)
    return costs


def _least(work: Callable[[], object]) -> float:
    """Return the least CPU time that some work takes, in ms."""
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        found.append(1_000 * (time.process_time() - began))
    return max(FLOOR_MS, min(found))


def _plot(costs: Mapping[int, Costs], path: Path) -> None:
    figure, axis = pyplot().subplots(figsize=(7, 5))
    sizes = sorted(costs)
    for question in costs[sizes[-1]]:
        axis.plot(sizes, [costs[size][question] for size in sizes], marker="o", label=question)
    reference = [_n_log_n(size) / _n_log_n(sizes[0]) * FLOOR_MS for size in sizes]
    axis.plot(sizes, reference, color="grey", linestyle=":", label="n log n")
    axis.set(xscale="log", yscale="log", xlabel="images", ylabel="ms of CPU", title="What a question costs")
    axis.legend()
    save(figure, path)


def _beside_docker(sheet: Sheet) -> None:
    """Ask both for the list of as many images with as many layers, in turn."""
    count = SIZES[-1]
    with short_place() as place:
        ours, theirs = place / "h", place / "d"
        ours.mkdir()
        theirs.mkdir()
        fill(ours / "root", count, tags=1, own=OWN)
        write_docker_store(theirs / "docker", list(stacks(count, OWN)))
        with docker(theirs), daemon(ours) as running:
            pairs = (UnixConnection(running.socket), UnixConnection(theirs / "docker.sock"))
            seconds: tuple[list[float], list[float]] = ([], [])
            for _ in range(DOCKER_ROUNDS):
                for connection, taken in zip(pairs, seconds, strict=True):
                    began = time.perf_counter()
                    answer = connection.ask("GET", "/v1.41/images/json")
                    taken.append(time.perf_counter() - began)
                    if len(answer.json) != count:
                        raise RuntimeError(f"{len(answer.json)} images are listed, not {count}")
            for connection in pairs:
                connection.close()
    own, other = map(statistics.median, seconds)
    sheet.tell(f"/images/json of {count:,} images, ours and dockerd's", f"{own * 1e3:.0f} and {other * 1e3:.0f} ms")
    ratio = statistics.median(one / two for one, two in zip(*seconds, strict=True))
    sheet.at_most("/images/json, by dockerd's, median of pairs", ratio, DOCKER_RATIO, "x", decimals=2)
