"""`make bench`: build the images, run the programs in turn, write the report."""

import argparse
import datetime
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from bench import corpus, machine, report, setting
from bench.peers import Dockerd, Headway, Program
from bench.processes import BenchError
from bench.samples import Comparison

PROGRAMS: tuple[Program, ...] = (Headway(), Dockerd())


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure and how often: every image by every program."""

    name: str
    command: str
    images: tuple[tuple[corpus.Recipe, str], ...]
    rounds: int
    twins: int


QUICK = Plan("quick", "make bench QUICK=1", ((corpus.PYTHON, "gzip"),), rounds=3, twins=1)
ALL = tuple((each, "gzip") for each in (corpus.PYTHON, corpus.SMALL, corpus.BIG, corpus.FORTY))
FULL = Plan("full", "make bench", ALL, rounds=5, twins=3)


def main() -> int:
    """Run the plan that the command line asks for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Headway beside its peers.")
    parser.add_argument("--quick", action="store_true", help="one image, three rounds, under three minutes")
    plan = QUICK if parser.parse_args().quick else FULL
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _stop)
    try:
        _run(plan)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: stopped; what was mounted and started is gone", file=sys.stderr)
        return 130
    return 0


def _run(plan: Plan) -> None:
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    with setting.ready(plan.images) as (bench, images):
        versions = {program.name: program.version() for program in PROGRAMS}
        facts = machine.facts() | {
            "measured disk": f"journaled ext4 in a loop file, direct I/O {'on' if bench.disk.is_direct else 'off'}",
            "load average before": machine.load(),
        }
        comparisons = [bench.compare(image, PROGRAMS, rounds=plan.rounds, twins=plan.twins) for image in images]
    facts |= {"load average after": machine.load()} | {
        f"image {image.name} {image.compression}": _describe(image) for image in images
    }
    remarks = [program.remark for program in PROGRAMS]
    caption = report.Caption(f"Headway beside its peers, {today}", plan.command, facts, versions, remarks)
    _write(setting.RESULTS / f"{plan.name}-{today}", caption, comparisons)


def _describe(image: corpus.Image) -> str:
    compressed, unpacked = sum(image.layer_bytes) / 1e6, image.unpacked_bytes / 1e6
    layers = f"{len(image.layer_bytes)} layers, {compressed:.0f} MB compressed"
    return f"{layers}, {image.files:,} files of {unpacked:.0f} MB, ID {image.image_id}"


def _write(path: Path, caption: report.Caption, comparisons: Sequence[Comparison]) -> None:
    path.with_suffix(".md").write_text(report.markdown(caption, comparisons))
    path.with_suffix(".json").write_text(json.dumps(report.document(caption, comparisons), indent=1) + "\n")
    print(report.figures_table(comparisons), "", report.ratios_table(comparisons), "", sep="\n")
    print(*report.sentences(comparisons), sep="\n")
    print(f"written: bench/results/{path.name}.md and .json", file=sys.stderr)


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Unwind once; further signals must not interrupt the cleaning up."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
