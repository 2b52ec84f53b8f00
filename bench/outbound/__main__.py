"""`make bench-outbound`: images on their way in and out, and pulls with nothing to do, beside dockerd and umoci."""

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import corpus, machine, prerequisites, report, setting
from bench.endings import ended
from bench.outbound.rounds import Material, compare, made
from bench.outbound.tasks import TASKS, Task
from bench.rounds import Bench
from bench.samples import Comparison
from bench.scratch import own_name


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.outbound", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the image of many files, one round")
    parser.add_argument("--only", metavar="TASK", help=f"one of: {'; '.join(task.name for task in TASKS)}")
    parser.add_argument("--rounds", type=int, help="how many (default 5; with --quick 1)")
    options = parser.parse_args(arguments)
    tasks = [task for task in TASKS if options.only in (None, task.name)]
    if not tasks:
        parser.error(f"there is no {options.only!r}; there are: {'; '.join(task.name for task in TASKS)}")
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"there is nothing to measure in {options.rounds} rounds")
    recipes = (corpus.PYTHON,) if options.quick else (corpus.PYTHON, corpus.BIG)
    rounds, twins = (1, 1) if options.quick else (5, 3)
    words = ["QUICK=1"] if options.quick else []
    words += [f"ROUNDS={options.rounds}"] if options.rounds else []
    words += [f"ONLY='{options.only}'"] if options.only else []
    return ended(lambda: _run(tasks, recipes, words, rounds=options.rounds or rounds, twins=twins))


def _run(tasks: list[Task], recipes: tuple[corpus.Recipe, ...], words: list[str], *, rounds: int, twins: int) -> None:
    today = report.today()
    programs = {side.program.name: side.program for task in tasks for side in task.sides}
    needed = programs.keys() & prerequisites.BUILDERS.keys()
    with (
        setting.ready([(recipe, "gzip") for recipe in recipes], needed) as (bench, images),
        tempfile.TemporaryDirectory(prefix=own_name("material-"), dir=setting.WORK) as place,
    ):
        versions = {name: program.version() for name, program in programs.items()}
        facts = machine.facts() | {"load average before": machine.load()}
        materials = [made(image, _folder(place, image), bench.registry) for image in images]
        found = [_compared(bench, tasks, material, rounds, twins) for material in materials]
    facts |= {"load average after": machine.load()}
    facts |= {f"image {image.name} {image.compression}": image.described() for image in images}
    remarks = list(dict.fromkeys(side.program.remark for task in tasks for side in task.sides))
    # A part does not take the place of a whole day's report.
    part = re.sub(r"\W+", "-", " ".join(words).lower()).strip("-")
    name = "-".join(filter(None, ["outbound", part, today]))
    command = " ".join(["make bench-outbound", *words])
    caption = report.Caption(f"Ways in and out, {today}", command, facts, versions, remarks, f"{name}.svg")
    report.keep(setting.RESULTS, name, caption, [each for group in found for each in group])


def _compared(bench: Bench, tasks: list[Task], material: Material, rounds: int, twins: int) -> list[Comparison]:
    return [compare(bench, task, material, rounds=rounds, twins=twins) for task in tasks]


def _folder(place: str, image: corpus.Image) -> Path:
    folder = Path(place, image.name)
    folder.mkdir()
    return folder


if __name__ == "__main__":
    sys.exit(main())
