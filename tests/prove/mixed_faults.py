"""Faults of every kind at random, over whole pulls."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, given, settings

from tests.faults.mixtures import BadDay, bad_days, survive
from tests.prove.sheet import Sheet, check

DAYS = 400
SLOW_DAYS = 12


@check("mixed-faults", "Faults at random: nothing wrong is held or listed; every pull ends well or in three parts.")
def mixed_faults(sheet: Sheet) -> None:
    """Live through days at random, some of them with faults that take seconds to be noticed."""
    ended: Counter[str] = Counter()
    for slow, count in ((False, DAYS), (True, SLOW_DAYS)):
        problem = _live(sheet, ended, slow=slow, count=count)
        sheet.right(f"{count} days{', with silence' if slow else ''}: what must be true was true", problem)
    sheet.at_least("bad days lived through", sum(ended.values()), DAYS + SLOW_DAYS)
    sheet.at_least("pulls that were complete all the same", ended["complete"], 1)
    sheet.at_least("pulls that said cause, kept, next", ended["stopped"], 1)


def _live(sheet: Sheet, ended: Counter[str], *, slow: bool, count: int) -> str:
    """Return what was not as it must be, with the day that shows it; nothing where all was."""

    @hypothesis.seed(sheet.seed)
    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(bad_days(slow=slow))
    def live(day: BadDay) -> None:
        with tempfile.TemporaryDirectory(dir=sheet.place) as place:
            outcome = survive(day, Path(place))
        ended["complete" if outcome.done is not None else "stopped"] += 1

    try:
        live()
    except AssertionError as error:
        return " ".join([str(error).strip(), *getattr(error, "__notes__", [])])[:2_000]
    return ""
