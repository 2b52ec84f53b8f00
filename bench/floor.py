"""`make bench-floor`: how far a pull is from what this machine cannot do without."""

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench import corpus, machine, report, setting
from bench.endings import ended
from bench.floors import Cost, floors
from bench.peers import Headway
from bench.plots import pyplot, save
from bench.rounds import Bench
from bench.samples import Sample, Spread

ROUNDS = 3
IMAGES = tuple((each, "gzip") for each in (corpus.PYTHON, corpus.SMALL, corpus.BIG, corpus.MIXED, corpus.FORTY))
BEYOND = "beyond the floors"
Round = tuple[Mapping[str, Cost], Sample]


def _run() -> None:
    """Measure the floors and a pull in turn, and write the page."""
    with setting.ready(IMAGES) as (bench, images):
        facts = machine.facts() | {"measured with": Headway().version(), "load average before": machine.load()}
        measured = {f"{image.name} {image.compression}": _rounds(bench, image) for image in images}
    today = report.today()
    path = setting.RESULTS / f"floor-{today}"
    facts |= {"load average after": machine.load()}
    facts |= {f"image {image.name} {image.compression}": image.described() for image in images}
    page = _page(today, facts, measured, picture=f"{path.name}.svg")
    path.with_suffix(".md").write_text(page)
    _draw({image: _medians(rounds) for image, rounds in measured.items()}, path.with_suffix(".svg"))
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


def _page(today: str, facts: Mapping[str, str], measured: Mapping[str, Sequence[Round]], *, picture: str) -> str:
    stages = list(next(iter(measured.values()))[0][0])
    rows = [["image", *stages, "sum", "headway pull", "pull / sum"]]
    rows += [[image, *_cells(stages, rounds)] for image, rounds in measured.items()]
    said = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return (
        f"# Headway beside the floors, {today}\n\n`make bench-floor`\n\n{said}\n\n"
        f"CPU seconds, median of {ROUNDS} rounds; each stage alone, in one thread (`bench/floors.py`). What a pull "
        "does beyond them: blobs and records on disk, recipes, threads and processes that hand each other the work.\n\n"
        f"{report.table(rows)}\n\n![Where the CPU time of a pull goes]({picture})\n"
    )


def _cells(stages: Sequence[str], rounds: Sequence[Round]) -> list[str]:
    sums = [sum(cost.cpu_seconds for cost in each.values()) for each, _ in rounds]
    pulls = [sample.cpu_seconds for _, sample in rounds]
    alone = _medians(rounds)
    ratios = Spread.of([pull / floor for pull, floor in zip(pulls, sums, strict=True)])
    middles = [*(alone[stage] for stage in stages), statistics.median(sums), statistics.median(pulls)]
    return [*(f"{seconds:.2f}" for seconds in middles), report.spread_text(ratios, 2)]


def _medians(rounds: Sequence[Round]) -> dict[str, float]:
    """Return CPU seconds of each stage alone, and of what a pull takes beyond all of them."""
    alone = {stage: statistics.median(each[stage].cpu_seconds for each, _ in rounds) for stage in rounds[0][0]}
    pull = statistics.median(sample.cpu_seconds for _, sample in rounds)
    return alone | {BEYOND: max(0.0, pull - sum(alone.values()))}


def _draw(found: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Draw a bar for each image, of which each stage is a part."""
    figure, axis = pyplot().subplots(figsize=(10, 1.5 + 0.6 * len(found)))
    names = [f"{image} ({sum(stages.values()):.1f} s)" for image, stages in found.items()]
    ends = [0.0] * len(found)
    for stage in next(iter(found.values())):
        widths = [100 * stages[stage] / sum(stages.values()) for stages in found.values()]
        color = "lightgrey" if stage == BEYOND else None
        axis.barh(names, widths, left=ends, label=stage, color=color)
        ends = [end + width for end, width in zip(ends, widths, strict=True)]
    axis.invert_yaxis()
    axis.set(xlabel="share of the CPU time of a pull, per cent", xlim=(0, 100))
    axis.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    save(figure, path)


if __name__ == "__main__":
    sys.exit(ended(_run))
