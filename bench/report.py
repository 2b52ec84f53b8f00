"""Turn what was measured into text for people and JSON for programs.

Rule: a figure never stands without its spread, and a ratio never without the ratio of two equal runs.
"""

import datetime
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import pictures
from bench.samples import COSTS, METRICS, OURS, Comparison, Spread

SCHEMA = 1
READING = (
    "Rows are median [lowest-highest]. A ratio is taken within each round, then summarised the same way: "
    "above 1, Headway needs less. The `A/A` row compares Headway with itself, run twice in a row: "
    "a ratio no further from 1 than that says nothing."
)


@dataclass(frozen=True, slots=True)
class Caption:
    """What a reader needs to judge the figures and to make them again.

    Args:
        title: Heading, with the date.
        command: What to type.
        facts: The machine and the set-up, a name and a value each.
        versions: What each program says it is, by its name in tables.
        remarks: Sentences on how each program was run.
        picture: The file beside the report that shows the ratios.
    """

    title: str
    command: str
    facts: Mapping[str, str]
    versions: Mapping[str, str]
    remarks: Sequence[str]
    picture: str


def today() -> str:
    """Return the date that a report bears, in UTC."""
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def keep(folder: Path, name: str, caption: Caption, comparisons: Sequence[Comparison]) -> None:
    """Write a report, its data and its picture beside each other, and print what there is to quote."""
    path = folder / name
    path.with_suffix(".md").write_text(markdown(caption, comparisons))
    path.with_suffix(".json").write_text(json.dumps(document(caption, comparisons), indent=1) + "\n")
    pictures.draw(comparisons, path.with_suffix(".svg"))
    print(figures_table(comparisons), "", ratios_table(comparisons), "", *sentences(comparisons), sep="\n")
    print(f"written: bench/results/{name}.md, .json and .svg", file=sys.stderr)


def figures_table(comparisons: Sequence[Comparison]) -> str:
    """Return the table of costs: one row per image and program."""
    rows = [["image", "program", *(f"{metric.name}, {metric.unit}" for metric in METRICS)]]
    for comparison in comparisons:
        for program in comparison.programs:
            cells = [spread_text(comparison.spread(program, metric), metric.decimals) for metric in METRICS]
            rows.append([comparison.image, program, *cells])
    return table(rows)


def ratios_table(comparisons: Sequence[Comparison]) -> str:
    """Return the table of ratios: one row per image and peer, and the noise of each image where it was measured."""
    rows = [["image", "ratio", *(metric.name for metric in COSTS)]]
    for comparison in comparisons:
        for peer in comparison.peers:
            cells = [spread_text(comparison.ratio(peer, metric), 2) for metric in COSTS]
            rows.append([comparison.image, f"{peer} / {OURS}", *cells])
        if comparison.twins:
            noise = [spread_text(comparison.noise(metric), 2) for metric in COSTS]
            rows.append([comparison.image, f"A/A {OURS} / {OURS}", *noise])
    return table(rows)


def sentences(comparisons: Sequence[Comparison]) -> list[str]:
    """Return one line per image and peer, to be quoted."""
    return [
        f"{comparison.image}: {peer} / {OURS}: "
        + ", ".join(f"{metric.name} {spread_text(comparison.ratio(peer, metric), 1)}" for metric in COSTS)
        for comparison in comparisons
        for peer in comparison.peers
    ]


def markdown(caption: Caption, comparisons: Sequence[Comparison]) -> str:
    """Return the whole report."""
    facts = [f"- {name}: {value}" for name, value in caption.facts.items()]
    versions = [f"- {version}" for version in caption.versions.values()]
    parts = [
        f"# {caption.title}",
        f"`{caption.command}`",
        "\n".join([*facts, *versions]),
        figures_table(comparisons),
        ratios_table(comparisons),
        "\n".join(f"**{sentence}**  " for sentence in sentences(comparisons)).rstrip(),
        f"![peer / {OURS}]({caption.picture})",
        READING,
        " ".join(caption.remarks),
    ]
    return "\n\n".join(parts) + "\n"


def document(caption: Caption, comparisons: Sequence[Comparison]) -> dict[str, object]:
    """Return the same as data for JSON, with every sample."""
    return {
        "schema": SCHEMA,
        "caption": asdict(caption),
        "comparisons": [
            {
                **asdict(comparison),
                "ratios": {
                    peer: {metric.name: asdict(comparison.ratio(peer, metric)) for metric in COSTS}
                    for peer in comparison.peers
                },
                "noise": {metric.name: asdict(comparison.noise(metric)) for metric in COSTS if comparison.twins},
            }
            for comparison in comparisons
        ],
    }


def spread_text(spread: Spread, decimals: int) -> str:
    """Write ``3.1 [2.8-3.4]``, or one figure when the three look the same."""
    lowest, middle, highest = (f"{each:.{decimals}f}" for each in (spread.lowest, spread.middle, spread.highest))
    return middle if lowest == middle == highest else f"{middle} [{lowest}-{highest}]"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table that is also readable as it is; the first row is its head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
