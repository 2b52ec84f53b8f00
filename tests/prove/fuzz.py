"""Layers as nobody should write them, for an hour."""

from __future__ import annotations

import os

from tests.fuzz import campaign
from tests.prove.sheet import Sheet, check

HOUR = 3600.0
ACCEPTED = 5.0  # percent; a fuzzer whose blobs are all refused at their first block tests nothing


@check(
    "fuzz", "An hour of seeded blobs brings no crash, no hang, no flood of memory and nothing outside the directory."
)
def fuzz(sheet: Sheet) -> None:
    """Unpack one blob after the other, in a process for each core; FUZZ_SECONDS is another duration than the hour."""
    seconds = float(sheet.setting("FUZZ_SECONDS") or HOUR)
    sheet.tell("seed", sheet.seed)
    outcome = campaign.run(sheet.seed, seconds, sheet.place, processes=os.cpu_count() or 1)
    campaign.save(sheet.seed, outcome.finds)
    for find in outcome.finds:
        sheet.right(f"blob {find.number}, kept in {campaign.CORPUS.name}/", find.problem)
    sheet.tell("seconds", f"{seconds:,.0f}")
    sheet.at_least("blobs unpacked, each in two ways", outcome.executed, 10 * seconds)
    sheet.at_least("of them layers", 100 * outcome.accepted / max(1, outcome.executed), ACCEPTED, "%", decimals=1)
    sheet.at_most("crashes, hangs, floods, escapes", len(outcome.finds), 0, decimals=0)
