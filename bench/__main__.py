"""`make bench`: build the images, run the programs in turn, write the report."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bench import corpus, machine, prerequisites, report, setting
from bench.endings import ended
from bench.more_peers import Containerd, Podman, Skopeo
from bench.peers import Dockerd, Headway, Program

ROUNDS = 5
HEADWAY, DOCKERD = Headway(), Dockerd()
EVERY: tuple[Program, ...] = (HEADWAY, DOCKERD, Containerd(), Podman(), Skopeo())
# dockerd 20.10 answers `archive/tar: invalid tar header`.
CANNOT: dict[str, tuple[Program, ...]] = {"gzip": (), "zstd": (DOCKERD,)}
RECIPES = {each.name: each for each in (corpus.PYTHON, corpus.SMALL, corpus.BIG, corpus.MIXED, corpus.FORTY)}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure and how often: every image by every program that can unpack it."""

    name: str
    command: str
    images: tuple[tuple[corpus.Recipe, str], ...]
    programs: tuple[Program, ...]
    rounds: int
    twins: int

    def able(self, compression: str) -> tuple[Program, ...]:
        """Return the programs that can unpack this."""
        return tuple(program for program in self.programs if program not in CANNOT[compression])


QUICK = Plan("quick", "make bench QUICK=1", ((corpus.PYTHON, "gzip"),), programs=(HEADWAY, DOCKERD), rounds=3, twins=1)


def full(names: Sequence[str], rounds: int) -> Plan:
    """Return the plan for everything, or for some images or other rounds, which then has another name."""
    images = tuple((RECIPES[name], compression) for compression in corpus.COMPRESSIONS for name in names or RECIPES)
    words = [f"ROUNDS={rounds}"] if rounds != ROUNDS else []
    words += [f'IMAGES="{" ".join(names)}"'] if names else []
    name = "-".join(["full" if not words else "part", *names])
    return Plan(name, " ".join(["make bench", *words]), images, programs=EVERY, rounds=rounds, twins=min(3, rounds))


def main() -> int:
    """Run the plan that the command line asks for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Headway beside its peers.")
    parser.add_argument("--quick", action="store_true", help="one image, three rounds, under three minutes")
    parser.add_argument("--rounds", type=int, help=f"how many; by default {ROUNDS}")
    parser.add_argument("--images", default="", help=f"which of {' '.join(RECIPES)}; by default all")
    wanted = parser.parse_args()
    names = wanted.images.split()
    if strange := set(names) - set(RECIPES):
        parser.error(f"no such image: {' '.join(sorted(strange))}")
    if wanted.quick and (names or wanted.rounds is not None):
        parser.error("a quick run has an image and rounds of its own: leave QUICK, or IMAGES and ROUNDS, out")
    rounds = ROUNDS if wanted.rounds is None else wanted.rounds
    if rounds < 1:
        parser.error(f"there is nothing to measure in {rounds} rounds")
    plan = QUICK if wanted.quick else full(names, rounds)
    return ended(lambda: _run(plan))


def _run(plan: Plan) -> None:
    today = report.today()
    programs = {program.name for program in plan.programs}
    with setting.ready(plan.images, programs & set(prerequisites.BUILDERS)) as (bench, images):
        versions = {program.name: program.version() for program in plan.programs}
        facts = machine.facts() | {
            "measured disk": f"journaled ext4 in a loop file, direct I/O {'on' if bench.disk.is_direct else 'off'}",
            "load average before": machine.load(),
        }
        comparisons = [
            bench.compare(image, plan.able(image.compression), rounds=plan.rounds, twins=plan.twins) for image in images
        ]
    facts |= {"load average after": machine.load()} | {
        f"image {image.name} {image.compression}": image.described() for image in images
    }
    remarks = [program.remark for program in plan.programs]
    name, title = f"{plan.name}-{today}", f"Headway beside its peers, {today}"
    caption = report.Caption(title, plan.command, facts, versions, remarks, f"{name}.svg")
    report.keep(setting.RESULTS, name, caption, comparisons)


if __name__ == "__main__":
    sys.exit(main())
