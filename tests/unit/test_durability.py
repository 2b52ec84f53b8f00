"""How long what has arrived may be without a sync."""

from __future__ import annotations

import pytest

from headway.distribution.durability import sync_due_in

MIB = 1 << 20


@pytest.mark.parametrize(
    ("unsynced", "age", "is_fast", "due"),
    [
        (1, 0.0, False, 5.0),
        (1, 4.0, False, 1.0),
        (1, 9.0, False, 0.0),
        (64 * MIB - 1, 1.0, False, 4.0),
        (64 * MIB, 0.5, False, 4.5),
        (64 * MIB, 1.0, False, 0.0),
        (64 * MIB, 0.0, True, 20.0),
        (4096 * MIB, 19.0, True, 1.0),
        (1, 21.0, True, 0.0),
    ],
)
def test_a_power_cut_costs_5_seconds_or_64_mib_and_on_a_fast_link_20_seconds(
    unsynced: int, age: float, *, is_fast: bool, due: float
) -> None:
    assert sync_due_in(unsynced, age, is_fast=is_fast) == due
