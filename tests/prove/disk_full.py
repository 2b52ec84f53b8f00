"""A disk that is full, or broken, at each call that asks it for something."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.broken_calls import CALLS, Aftermath, Break, pull_with
from tests.faults.power import Known
from tests.faults.registry import Registry
from tests.prove.scene import IN_FLIGHT
from tests.prove.sheet import Sheet, check

CONNECTIONS = 3
EVERY = 6  # so many calls of each kind one by one, then some of them
FURTHER = 1.3
MOST = 300
TIDYING = "unlinkat"  # a tree that is given up; SQLite unlinks files of its own at start, by another call


@check(
    "disk-full",
    "Full (ENOSPC) or broken (EIO) at the nth call of each kind that asks the disk for something; full from there on, "
    "and killed while it tidies up: status 73 where it is full, and the same pull completes, the image as built.",
)
def disk_full(sheet: Sheet) -> None:
    """Break one call after the other of a whole pull."""
    layers = [{f"usr/{n}": b"text %d " % n * 600 for n in range(20)}, images.noise_layer(300_000), {"usr/0": b"x"}]
    image = images.image(layers)
    found: list[tuple[Break, Aftermath]] = []
    twice = 0
    places = (sheet.place / f"root-{number}" for number in count())
    with Registry([image]) as registry:
        known = Known(f"{registry.host}/test/image", image, layers)
        for error in ("ENOSPC", "EIO"):
            for calls in CALLS:
                hits = 0
                for broken in _breaks(calls, error):
                    registry.log.clear()
                    after = pull_with(broken, Cli(next(places)), known)
                    if not after.hit:
                        break
                    found.append((broken, after))
                    hits += 1
                    twice = max(twice, registry.sent("blob") - image.size)
                sheet.tell(f"{error} in {calls}: pulls", hits)
        kills = [Break("write", "ENOSPC", nth, for_good=True, kill=TIDYING) for nth in range(2, 12)]
        killed = [pull_with(each, Cli(next(places)), known) for each in kills]
    sheet.at_least("pulls with a broken call", len(found), 100)
    full = [after for broken, after in found if broken.error == "ENOSPC" and after.status]
    other = [after for after in full if after.status != 73 and not _is_excused(after)]
    sheet.right("full: status 73", "; ".join(f"{after.status}: {after.said}" for after in other[:2]))
    sheet.at_least("full: pulls that stop", len(full), 30)
    problems = [f"{broken}: {after.problems[0]}" for broken, after in found if after.problems]
    sheet.right("nothing else is wrong, before and after the next pull", "; ".join(problems[:2]))
    sheet.at_most("layer bytes sent twice, at most", twice, CONNECTIONS * IN_FLIGHT, "bytes", 0)
    sheet.at_least("full, then killed", sum(after.hit and after.status < 0 for after in killed), 3)
    sheet.right("nothing is wrong after those", "; ".join(p for after in killed for p in after.problems[:1]))


def _breaks(calls: str, error: str) -> Iterator[Break]:
    nth = 1
    while nth <= MOST:
        yield Break(calls, error, nth)
        nth = nth + 1 if nth < EVERY else int(nth * FURTHER)


def _is_excused(after: Aftermath) -> bool:
    """Tell whether the status says nothing: SQLite keeps to itself why a sync failed."""
    return "headway.db: disk I/O error" in after.said
