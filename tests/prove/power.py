"""Power cuts: what lies on a disk whose cache is lost at any moment."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.disk import Disk, mounted
from tests.faults.power import BOUND_SECONDS, Known, Look, Story, looks, writeback
from tests.faults.story import RateLimit
from tests.prove.scene import linked
from tests.prove.sheet import Sheet, check

MB = 1_000_000
SLOW = 0.5 * MB
FAST = 20 * MB
SYNC_BYTES = 64 << 20
NO_SYNC = ("strace", "-f", "-qq", "-o", "/dev/null", "--seccomp-bpf")
CALLS = "syncfs,fsync,fdatasync"
THEN = ((Story.pull, 1), (Story.remove, 0), (Story.pull, 0), (Story.remove, 1), (Story.pull, 1))


@dataclass(frozen=True, slots=True)
class Kind:
    """A file system to cut the power of.

    Attributes:
        name: As it is told.
        make: Makes it on a disk.
        size: Of the disk, in bytes.
        cuts: How many.
        options: It is mounted with.
    """

    name: str
    make: Sequence[str]
    size: int
    cuts: int
    options: tuple[str, ...] = ()


KINDS = (
    Kind("ext4", ("mkfs.ext4", "-q", "-F"), 96 << 20, 100),
    Kind("ext4, data=writeback", ("mkfs.ext4", "-q", "-F"), 96 << 20, 50, ("data=writeback", "commit=1")),
    Kind("xfs", ("mkfs.xfs", "-q", "-f"), 320 << 20, 50),
    Kind("btrfs", ("mkfs.btrfs", "-q", "-f", "-m", "single"), 128 << 20, 50),
)


@check(
    "power",
    "200 power cuts during pulls, commits and removals, at which a disk's cache is lost: 0 bad images, every file "
    "of each as built; what a command said is so; nothing older than 6.5 s, and at most 64 MiB, is fetched again.",
    needs_root=True,
)
def power(sheet: Sheet) -> None:
    """Record one life of a data root on each kind of file system, and look at many cuts of it."""
    found: list[Look] = []
    for kind in KINDS:
        found += _cuts(sheet, kind, Cli)
    problems = [problem for look in found for problem in look.problems]
    sheet.at_least("power cuts", len(found), 200)
    sheet.at_most("after which something is wrong", sum(bool(look.problems) for look in found), 0, decimals=0)
    sheet.right("what is wrong", "; ".join(problems[:3]))
    sheet.at_least("images listed after a cut, each file compared", sum(look.listed for look in found), 60)
    losses = [look for look in found if look.lost_bytes]
    sheet.at_least("cuts that took bytes along", len(losses), 10)
    sheet.at_most("bytes fetched again, at most", max(look.lost_bytes for look in found), SYNC_BYTES, "bytes", 0)
    sheet.at_most("the oldest of them, before the cut", max(look.lost_seconds for look in found), BOUND_SECONDS, "s", 1)
    control = _cuts(sheet, Kind("ext4, syncs left out", KINDS[0].make, KINDS[0].size, 20), _without_syncs)
    bad = sum(bool(look.problems) for look in control)
    sheet.at_least("the check can fail: bad without any sync", bad, 1)


def _without_syncs(root: Path) -> Cli:
    return Cli(root, before=(*NO_SYNC, "-e", f"trace={CALLS}", "-e", f"inject={CALLS}:retval=0"))


def _cuts(sheet: Sheet, kind: Kind, command: Callable[[Path], Cli]) -> list[Look]:
    place = sheet.place / kind.name.replace(" ", "-")
    (place / "fuse").mkdir(parents=True)
    layers = _layers(sheet.seed)
    built = [images.image(each, tag=f"t{number}") for number, each in enumerate(layers)]
    with linked(RateLimit(SLOW), image=built[0]) as (registry, link, name), Disk(place / "fuse", kind.size) as disk:
        registry.add(built[1])
        known = [Known(f"{name}:t{number}", image, layers[number]) for number, image in enumerate(built)]
        subprocess.run([*kind.make, disk.path], check=True)
        begin = disk.position
        with mounted(disk.path, place / "life", *kind.options):
            story = Story(command(place / "life" / "root"), known)
            with writeback(place / "life", sheet.seed):
                story.pull(known[0])
                link.faults = [RateLimit(FAST)]
                for act, image in THEN:
                    act(story, known[image])
        link.faults = []
        positions = _moments(disk, begin, kind.cuts, random.Random(sheet.seed))
        found = list(looks(disk, kind.size, positions, story, place, sheet.seed))
    sheet.tell(f"{kind.name}: life", f"{disk.position - begin} writes, {disk.flushes} flushes")
    sheet.tell(f"{kind.name}: cuts, wrong after", f"{len(found)}, {sum(bool(look.problems) for look in found)}")
    return found


def _moments(disk: Disk, begin: int, count: int, source: random.Random) -> list[int]:
    """Return moments to cut at: half by the clock, half by what was written, where the commits are."""
    first, last = disk.seconds(begin), disk.seconds(disk.position - 1)
    by_clock = [disk.position_at(source.uniform(first, last)) for _ in range(count // 2)]
    return by_clock + [source.randrange(begin, disk.position) for _ in range(count - len(by_clock))]


def _layers(seed: int) -> list[list[images.Files]]:
    """Return the layers of two images that share their first: text files, noise, and one over both."""
    source = random.Random(seed)
    words = [source.randbytes(6).hex().encode() for _ in range(400)]
    base = {f"usr/share/{n % 9}/{n}": b" ".join(source.choices(words, k=source.randrange(900))) for n in range(300)}
    return [
        [base, images.noise_layer(4 * MB, seed=seed), {"usr/share/0/0": b"over the first\n"}],
        [base, images.noise_layer(MB, seed=seed + 1)],
    ]
