"""The table and the plots."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.badlink.pulls import PULLS, Outcome
from bench.plots import pyplot, save

MEBI = 1 << 20


def table(outcomes: Sequence[Outcome], programs: Sequence[str]) -> str:
    """Return the outcomes as Markdown, a row a fault, a column a program."""
    rows = dict.fromkeys(each.fault for each in outcomes)
    by_cell = {(each.fault, each.program): each for each in outcomes}
    cells = [["fault", *programs], ["---"] * (len(programs) + 1)]
    cells += [[fault, *(_cell(by_cell[fault, program]) for program in programs)] for fault in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _cell(outcome: Outcome) -> str:
    """Return ✓ or ✗, the bytes crossed by those needed, and the time by the best possible."""
    ratio = f"{outcome.crossed / outcome.needed:.2f} x"
    if not outcome.is_complete:
        hung = f", hung {outcome.hung} x" if outcome.hung else ""
        return f"✗ {ratio}{hung}"
    again = f", {outcome.pulls} pulls" if outcome.pulls > 1 else ""
    hung = f", hung {outcome.hung} x" if outcome.hung else ""
    return f"✓ {ratio}, {outcome.seconds:.1f} s ({outcome.seconds / outcome.best_seconds:.1f} x){again}{hung}"


def markdown(outcomes: Sequence[Outcome], versions: Mapping[str, str], facts: Mapping[str, str]) -> str:
    """Return the whole page."""
    needed = outcomes[0].needed
    said = [f"- {name}: {value}" for name, value in {**versions, **facts}.items()]
    return "\n".join(
        [
            "# Pulls over links that break",
            "",
            f"An image of {needed:,} bytes in three layers, cold each time, up to {PULLS} pulls. A cell says whether",
            "the image was there in the end; bytes that crossed the link by bytes needed; the time of all pulls, and",
            "that by the best possible (bytes by the link's rate, and the outage, or what `Retry-After` asks for: who",
            "does not heed it is below 1). `hung`: a pull was ended after 120 s, on a silent link after 30 s.",
            "",
            table(outcomes, list(versions)),
            "![bytes over time](badlink.svg)",
            "",
            *said,
            "",
        ]
    )


def document(outcomes: Sequence[Outcome], versions: Mapping[str, str], facts: Mapping[str, str]) -> str:
    """Return everything as JSON; of a timeline, a point for every 2 % of it."""
    items = []
    for outcome in outcomes:
        item = dataclasses.asdict(outcome)
        step = max(1, len(outcome.timeline) // 50)
        item["timeline"] = [[round(at, 2), count] for at, count in outcome.timeline[::step]]
        items.append(item)
    return json.dumps({"versions": dict(versions), "facts": dict(facts), "outcomes": items}, indent=1) + "\n"


def plot(outcomes: Sequence[Outcome], faults: Sequence[str], programs: Sequence[str], path: Path) -> None:
    """Draw bytes over time on some bad links, one picture for each, as SVG."""
    figure, axes = pyplot().subplots(1, len(faults), figsize=(6 * len(faults), 4), squeeze=False)
    for axis, fault in zip(axes[0], faults, strict=True):
        for program in programs:
            found = next(each for each in outcomes if (each.fault, each.program) == (fault, program))
            times = [at for at, _ in found.timeline]
            axis.plot(times, [count / MEBI for _, count in found.timeline], label=program, drawstyle="steps-post")
        axis.axhline(outcomes[0].needed / MEBI, color="grey", linestyle=":", label="needed")
        axis.set(title=fault, xlabel="seconds", ylabel="MiB crossed")
        axis.legend()
    save(figure, path)
