"""What it costs to start the command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.registry import Registry
from tests.prove.scene import run
from tests.prove.sheet import Sheet, check

LIMIT_MS = 100.0
ROUNDS = 5
HEADWAY = Path(sys.executable).parent / "headway"


@check("start-up", "`headway version` and `headway images` take <= 100 ms of CPU (best of 5).")
def start_up(sheet: Sheet) -> None:
    """Measure user and system time of the child, without and with images to list."""
    root = sheet.place / "root"
    sheet.at_most("headway version", _cpu_ms("version"), LIMIT_MS, "ms", decimals=0)
    sheet.at_most("headway images, no store", _cpu_ms("--data-root", root, "images"), LIMIT_MS, "ms", decimals=0)
    with Registry() as registry:
        names = []
        for number in range(10):
            registry.add(images.image([{f"file-{number}": b"x"}], tag=f"t{number}"))
            names.append(f"{registry.host}/test/image:t{number}")
        sheet.right("ten small pulls complete", run(Cli(root), "pull", *names).problem)
    sheet.at_most("headway images, ten images", _cpu_ms("--data-root", root, "images"), LIMIT_MS, "ms", decimals=0)


def _cpu_ms(*words: str | Path) -> float:
    """Return the least user and system time of some runs, in milliseconds."""
    return min(_once(*words) for _ in range(ROUNDS))


def _once(*words: str | Path) -> float:
    process = subprocess.Popen([HEADWAY, *words], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"headway {' '.join(map(str, words))} left with {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1000
