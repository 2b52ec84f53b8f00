"""How fast a registry's bytes came the last time, from the receipts of pulls."""

from __future__ import annotations

from collections.abc import Iterable

from headway.distribution.pull_states import PullState
from headway.interfaces.pulls import PullCost, PullRecord
from headway.oci.reference import Reference

LEAST_BYTES = 64 * 1024
LEAST_SECONDS = 1.0


def last_rate(records: Iterable[PullRecord], domain: str) -> float | None:
    """Return the bytes a second of the newest pull that shows a rate; None where none does.

    Args:
        records: Of pulls.
        domain: Whose images.
    """
    pulls = [record for record in records if record.cost.received >= LEAST_BYTES and _is_of(record, domain)]
    for record in sorted(pulls, key=lambda each: each.changed, reverse=True):
        if seconds := _seconds(record.cost):
            return record.cost.received / seconds
    return None


def _is_of(record: PullRecord, domain: str) -> bool:
    return Reference.parse(record.wish.reference).domain == domain


def _seconds(cost: PullCost) -> float:
    """Return how long it received; what was too short to be measured took no longer than all that ran."""
    if cost.receiving_seconds >= LEAST_SECONDS:
        return cost.receiving_seconds
    return cost.seconds.get(PullState.RUNNING, 0.0)
