"""`make bench-floor`: how far a pull is from what this machine cannot do without."""

import datetime
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from bench import corpus, machine, report, setting
from bench.endings import ended
from bench.floors import Cost, floors
from bench.peers import Headway
from bench.rounds import Bench
from bench.samples import Sample, Spread

ROUNDS = 3
IMAGES = tuple((each, "gzip") for each in (corpus.PYTHON, corpus.SMALL, corpus.BIG, corpus.FORTY))
Round = tuple[Mapping[str, Cost], Sample]


def _run() -> None:
    """Measure the floors and a pull in turn, and write the page."""
    with setting.ready(IMAGES) as (bench, images):
        facts = machine.facts() | {"measured with": Headway().version(), "load average before": machine.load()}
        measured = {f"{image.name} {image.compression}": _rounds(bench, image) for image in images}
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    path = setting.RESULTS / f"floor-{today}"
    facts |= {"load average after": machine.load()}
    facts |= {f"image {image.name} {image.compression}": image.described() for image in images}
    page = _page(today, facts, measured)
    path.with_suffix(".md").write_text(page)
    found = {
        image: [
            {"floors": {name: asdict(cost) for name, cost in stages.items()}, "pull": asdict(sample)}
            for stages, sample in rounds
        ]
        for image, rounds in measured.items()
    }
    path.with_suffix(".json").write_text(json.dumps({"facts": facts, "images": found}, indent=1) + "\n")
    print(page)


def _rounds(bench: Bench, image: corpus.Image) -> list[Round]:
    reference = bench.registry.push(image)
    rounds: list[Round] = []
    for number in range(ROUNDS):
        with bench.disk.fresh() as empty:
            bench.registry.read_blobs(image)
            stages = floors(image, bench.registry.address, empty)
        rounds.append((stages, bench.pull(Headway(), image, reference, f"round {number + 1}")))
    return rounds


def _page(today: str, facts: Mapping[str, str], measured: Mapping[str, Sequence[Round]]) -> str:
    stages = list(next(iter(measured.values()))[0][0])
    rows = [["image", *stages, "sum", "headway pull", "pull / sum"]]
    rows += [[image, *_cells(stages, rounds)] for image, rounds in measured.items()]
    said = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return (
        f"# Headway beside the floors, {today}\n\n`make bench-floor`\n\n{said}\n\n"
        f"CPU seconds, median of {ROUNDS} rounds; each stage alone, in one thread (`bench/floors.py`). What a pull "
        "does beyond them: blobs and records on disk, recipes, threads and processes that hand each other the work.\n\n"
        f"{report.table(rows)}\n"
    )


def _cells(stages: Sequence[str], rounds: Sequence[Round]) -> list[str]:
    sums = [sum(cost.cpu_seconds for cost in each.values()) for each, _ in rounds]
    pulls = [sample.cpu_seconds for _, sample in rounds]
    alone = [statistics.median(each[stage].cpu_seconds for each, _ in rounds) for stage in stages]
    ratios = Spread.of([pull / floor for pull, floor in zip(pulls, sums, strict=True)])
    middles = [*alone, statistics.median(sums), statistics.median(pulls)]
    return [*(f"{seconds:.2f}" for seconds in middles), report.spread_text(ratios, 2)]


if __name__ == "__main__":
    sys.exit(ended(_run))
