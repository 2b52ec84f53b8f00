"""Thousands of requests made from our description of the Engine API."""

from __future__ import annotations

import re

from tests.fuzz.engine import description, examined, narrowed, operations, scene
from tests.prove.sheet import Sheet, check

EXAMPLES = 60
MEMORY_MB = 120.0


@check("engine-fuzz", "No request that can be made from the description is a bug, or is answered out of shape.")
def engine_fuzz(sheet: Sheet) -> None:
    """Let Schemathesis make requests, and look at what the daemon says of it."""
    with scene(sheet.place / "d") as running:
        document = narrowed(description(), running)
        sheet.tell("operations", len(operations(document)))
        for phases in ("coverage", "fuzzing"):
            problem = examined(
                document, running, sheet.place, phases=phases, examples=EXAMPLES, seed=sheet.seed % 2**32
            )
            if problem:
                print(re.sub(r"^", "    ", problem[:8000], flags=re.M), flush=True)
            sheet.right(f"answers are as described: {phases}", "they are not, see above" if problem else "")
        sheet.right("the log tells of no bug", "; ".join(running.daemon.bugs)[:2000])
        sheet.right("it answers still", "" if running.daemon.ask("GET", "/_ping").status == 200 else "it does not")
        sheet.at_most("memory afterwards", running.daemon.resident / 1e6, MEMORY_MB, "MB", decimals=0)
