"""A few bad days at random; `make prove ONLY=mixed-faults` lives through hundreds."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings

from tests.faults.mixtures import BadDay, bad_days, survive


@settings(max_examples=20, derandomize=True)
@given(bad_days(slow=False))
def test_after_any_bad_day_nothing_wrong_is_held_and_a_good_one_finishes_the_pull(day: BadDay) -> None:
    with tempfile.TemporaryDirectory() as place:
        survive(day, Path(place))
