"""What `make prove` may call a claim that holds, and what its report has to say of how it was measured."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.prove.report import write
from tests.prove.sheet import Check, Sheet


def test_a_check_that_holds_nothing_against_a_limit_does_not_hold(tmp_path: Path) -> None:
    sheet = Sheet(tmp_path, seed=1)
    steps: list[Callable[[], None]] = [
        lambda: None,
        lambda: sheet.tell("seconds", 3),
        lambda: sheet.at_most("bytes", 1, 2),
        lambda: sheet.right("all is well", "it is not"),
    ]

    held = []
    for step in steps:
        step()
        held.append(sheet.holds)

    assert held == [False, False, True, False]


def test_a_measure_smaller_than_claimed_is_told_in_the_heading_and_in_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOAK_SECONDS", "300")

    def measure(sheet: Sheet) -> None:
        sheet.at_least("seconds", float(sheet.setting("SOAK_SECONDS") or 3600), 1)

    sheet = Sheet(tmp_path, seed=1)
    measure(sheet)
    write(Check("soak", "An hour of it.", measure), sheet, seconds=300.0, results=tmp_path)

    page = (tmp_path / "prove-soak.md").read_text()
    assert page.startswith("# soak: holds with SOAK_SECONDS=300\n")
    assert json.loads((tmp_path / "prove-soak.json").read_text())["facts"]["command"] == (
        "make prove ONLY=soak SOAK_SECONDS=300"
    )


def test_a_measure_as_claimed_needs_no_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOAK_SECONDS", raising=False)
    sheet = Sheet(tmp_path, seed=1)
    sheet.at_least("seconds", float(sheet.setting("SOAK_SECONDS") or 3600), 3600)

    write(Check("soak", "An hour of it.", lambda _: None), sheet, seconds=3600.0, results=tmp_path)

    assert (tmp_path / "prove-soak.md").read_text().startswith("# soak: holds\n")
