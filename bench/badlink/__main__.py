"""`make bench-badlink`: every program over every bad link, one after the other."""

from __future__ import annotations

import argparse
import datetime
import sys

from bench import machine, prerequisites
from bench.badlink import report
from bench.badlink.faults import BAD_LINKS, RATE, big_image
from bench.badlink.pulls import Outcome, pull_over
from bench.endings import ended
from bench.more_peers import Containerd, Podman, Skopeo
from bench.peers import Dockerd, Headway, Program
from bench.scratch import scratch, sweep
from bench.setting import RESULTS

PROGRAMS: tuple[Program, ...] = (Headway(), Dockerd(), Containerd(), Podman(), Skopeo())
PLOTTED = ("cut (FIN) every 4 MiB", "gone for 15 s after 8 MiB")


def main() -> int:
    """Measure, print the table and keep it; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.badlink", description="Pulls over links that break.")
    parser.add_argument("--only", help="only the rows whose title has these words; nothing is kept")
    only = parser.parse_args().only or ""
    return ended(lambda: _run(only))


def _run(only: str) -> None:
    prerequisites.ensure(["podman"])
    sweep()
    image = big_image()
    versions = {program.name: program.version() for program in PROGRAMS}
    outcomes: list[Outcome] = []
    for bad in BAD_LINKS:
        if only in bad.title:
            for program in PROGRAMS:
                with scratch() as place:
                    outcomes.append(outcome := pull_over(program, bad, image, place))
                done = "complete" if outcome.is_complete else "not complete"
                print(f"{bad.title}: {program.name}: {done}, {outcome.crossed:,} bytes", file=sys.stderr)
    names = [program.name for program in PROGRAMS]
    print(report.table(outcomes, names))
    if not only:
        _keep(outcomes, versions, names)


def _keep(outcomes: list[Outcome], versions: dict[str, str], names: list[str]) -> None:
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    facts = {
        "date": today,
        "command": "make bench-badlink",
        "link": f"{RATE * 8 / 1e6:.0f} Mbit/s, on loopback",
        **machine.facts(),
        **{f"how {program.name} is run": program.remark for program in PROGRAMS},
    }
    (RESULTS / "badlink.md").write_text(report.markdown(outcomes, versions, facts))
    (RESULTS / "badlink.json").write_text(report.document(outcomes, versions, facts))
    report.plot(outcomes, PLOTTED, names, RESULTS / "badlink.svg")


if __name__ == "__main__":
    sys.exit(main())
