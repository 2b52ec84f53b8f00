"""Pulls, deletes, tags and prunes at once: no deadlock, nothing dangles, nothing is left."""

from __future__ import annotations

from pathlib import Path

from tests.faults.crowd import gather, problems_of


def test_a_crowd_leaves_everything_in_order(tmp_path: Path) -> None:
    crowd = gather(tmp_path, seconds=3, seed=1)

    assert crowd.problems == []
    assert all(crowd.done[what] for what in ("pulled", "delete", "prune", "tag", "look", "check"))
    assert problems_of(tmp_path) == []
