"""Sizes of what a container wrote, while it goes on writing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from headway.container_records import Change, ChangeKind
from headway.layers.drivers.measuring import size_of, size_of_changed
from tests.fakes.trees import nest


def test_a_directory_that_goes_meanwhile_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_bytes(b"12345")
    scan, open_it = os.scandir, os.open

    def go(path: object) -> None:
        if isinstance(path, (str, bytes)) and os.fsdecode(path).endswith("a"):
            shutil.rmtree(tmp_path / "a", ignore_errors=True)

    def late_scan(path: str | int) -> object:
        go(path)
        return scan(path)

    def late_open(path: bytes, flags: int, *, dir_fd: int | None = None) -> int:
        if path == b"a":
            monkeypatch.undo()
        go(path)
        return open_it(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "scandir", late_scan)
    monkeypatch.setattr(os, "open", late_open)

    assert size_of(tmp_path) == 5


def test_what_lies_deeper_than_a_path_is_long_is_counted(tmp_path: Path) -> None:
    nest(tmp_path, "d" * 200, 30, body=b"12345")

    assert size_of(tmp_path) == 5


def test_of_what_was_changed_nothing_is_counted_that_has_gone_or_is_elsewhere(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "there").write_bytes(b"12345")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/f").write_bytes(b"of the machine")
    (root / "moved").symlink_to(tmp_path / "outside")

    changes = [Change(path, ChangeKind.ADDED) for path in ("/gone", "/there", "/moved/f")]

    assert size_of_changed(root, changes) == 5
