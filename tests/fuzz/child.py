"""The process that examines blobs: `python -m tests.fuzz.child SEED FIRST STEP PLACE SECONDS`.

It prints what it finds as lines of JSON, and keeps in ``PLACE/progress`` where it is.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from tests.fuzz.campaign import made
from tests.fuzz.examine import World, examine
from tests.fuzz.progress import Progress

ADDRESS_SPACE = 3 << 30


def main() -> None:
    """Examine until the time is over."""
    seed, first, step = map(int, sys.argv[1:4])
    place, until = Path(sys.argv[4]), time.monotonic() + float(sys.argv[5])
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    progress = Progress(place / "progress")
    (place / "work").mkdir()
    world = World(place / "work")
    executed = accepted = 0
    number = first
    while time.monotonic() < until:
        progress.tell(executed, accepted, number)
        data, rng = made(seed, number)
        verdict = examine(data, world, rng)
        executed += 1
        accepted += verdict.accepted
        if verdict.problem:
            print(json.dumps({"number": number, "problem": verdict.problem}), flush=True)
        number += step
    progress.tell(executed, accepted, number)


if __name__ == "__main__":
    main()
