"""`make prove`: run every check, or one, and fail when one of them does."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from bench.endings import STOPPED, unwind_once
from tests.prove import (
    bad_input,
    cgroup,
    concurrency,
    cuts,
    daemon_limits,
    depth,
    disk_full,
    docker_cli,
    durable,
    engine_fuzz,
    faults_table,
    fuzz,
    growth,
    hostile,
    hostile_clients,
    interchange,
    kills,
    kills_200,
    makers,
    making,
    many,
    many_clients,
    memory,
    mixed_faults,
    mounts,
    narrow,
    outages,
    power,
    pushes,
    rate,
    recipes,
    repairs,
    repeats,
    scale,
    seed_attempts,
    service,
    soak,
    start_up,
    streams,
)
from tests.prove.report import write
from tests.prove.sheet import CHECKS, Check, Sheet

# Importing them registers their checks.
MODULES = (
    *(cuts, kills, power, outages, repeats, recipes, bad_input, start_up, makers, depth, many, hostile, fuzz),
    *(interchange, concurrency, scale, service, faults_table, mixed_faults, mounts, disk_full),
    *(durable, pushes, rate, streams, repairs, kills_200, memory),
    *(docker_cli, engine_fuzz, making, daemon_limits, many_clients, hostile_clients),
    *(seed_attempts, soak, cgroup, growth, narrow),
)


def main() -> int:
    """Do what the command line says and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which checks to run (default: all)")
    parser.add_argument("--list", action="store_true", help="list the checks")
    parser.add_argument("--seed", type=int, default=20_190_925, help="what everything random follows from")
    options = parser.parse_args()
    if options.list:
        for each in CHECKS.values():
            print(f"{each.name:<12} {each.claim}")
        return 0
    if unknown := [name for name in options.names if name not in CHECKS]:
        parser.error(f"no check is called {unknown[0]}; there are: {', '.join(CHECKS)}")
    chosen = [CHECKS[name] for name in options.names or CHECKS]
    if any(each.needs_root for each in chosen) and os.geteuid() != 0:
        parser.error(f"{next(each.name for each in chosen if each.needs_root)} mounts a small disk: run it as root")
    unwind_once()
    try:
        failed = [each.name for each in chosen if not _run(each, options.seed)]
    except KeyboardInterrupt:
        print("stopped; what was mounted and started is gone, and the check that ran wrote no result", file=sys.stderr)
        return STOPPED
    print(f"\n{len(chosen) - len(failed)} of {len(chosen)} hold" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def _run(check: Check, seed: int) -> bool:
    print(f"\n{check.name}: {check.claim}", flush=True)
    began = time.monotonic()
    # buildah takes a path for a name, in which no "_" stands beside another sign.
    with tempfile.TemporaryDirectory(prefix="headway-prove-x", suffix="x") as place:
        sheet = Sheet(Path(place), seed)
        try:
            check.measure(sheet)
        except Exception as error:
            traceback.print_exc()
            sheet.right("the check itself ends well", f"{type(error).__name__}: {error}")
    write(check, sheet, seconds=time.monotonic() - began)
    return sheet.holds


if __name__ == "__main__":
    sys.exit(main())
