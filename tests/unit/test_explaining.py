"""What a failed command advises."""

from __future__ import annotations

import pytest

from headway.cli.failures import explain
from headway.errors import ConflictError


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
