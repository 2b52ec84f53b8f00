"""What a failed command advises."""

from __future__ import annotations

import pytest

from headway.cli.failures import explain
from headway.errors import ConflictError, PullIncompleteError, StoreFullError


@pytest.mark.parametrize(
    ("what", "command", "advice"),
    [
        ("unable to delete 1a2b (must be forced)", "rmi", "see to what is in the way, or name another, or add --force"),
        ("unable to delete 1a2b (cannot be forced)", "rmi", "remove first what needs it"),
        ("tcp://127.0.0.1:2375 is in use by another program", "daemon", "see to what is in the way, or name another"),
    ],
)
def test_force_is_advised_where_it_helps(what: str, command: str, advice: str) -> None:
    assert explain(ConflictError(what), command) == f"headway: {what}\nnext: {advice}"


@pytest.mark.parametrize(
    ("kept", "whole", "says"),
    [
        (0, 0, "kept: nothing of 28.0 MB"),
        (9_000_000, 1, "kept: 9.00 MB of 28.0 MB; 1 of 2 layers whole; none of it will be fetched again"),
    ],
)
def test_no_more_is_said_to_be_kept_than_is(kept: int, whole: int, says: str) -> None:
    cause = StoreFullError("/data")

    error = PullIncompleteError("probe:1", cause, kept_bytes=kept, total_bytes=28_000_000, whole_layers=whole, layers=2)

    assert explain(error, "pull").splitlines()[1] == says
