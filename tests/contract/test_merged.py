"""The merged view of trees: where paths lead."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headway.errors import InvalidLayerError
from headway.layers.trees.merged import MergedView
from headway.records import LayerReport, Tree


@contextmanager
def view(*trees: Path) -> Iterator[MergedView]:
    with MergedView([Tree(path=tree, report=LayerReport()) for tree in trees]) as merged:
        yield merged


@pytest.mark.parametrize(
    ("path", "leads"),
    [
        ("a/b", "a/b"),
        ("/a/./b/", "a/b"),
        ("a/b/../c", "a/c"),
        ("../../a", "a"),
        ("up/b", "a/b"),
        ("a/out", "a/b"),
        ("a/rooted/x", "a/b/x"),
        ("a/none/../b", "a/b"),
        ("nothing/there", "nothing/there"),
        ("a/b/file/../..", "a"),
        ("a/chain", "a/b"),
        ("hidden/x", "hidden/x"),
    ],
)
def test_a_path_leads_where_it_does_in_a_container(tmp_path: Path, path: str, leads: str) -> None:
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    (lower / "a/b").mkdir(parents=True)
    (lower / "a/b/file").touch()
    (lower / "hidden").symlink_to("a")
    (lower / "a/out").symlink_to("../../../a/b")
    upper.mkdir()
    (upper / "up").symlink_to("a")
    (upper / "hidden").mkdir()
    (upper / "a").mkdir()
    (upper / "a/rooted").symlink_to("/a/b")
    (upper / "a/chain").symlink_to("/up/out")

    with view(lower, upper) as merged:
        assert merged.resolve(path, follow_last=True) == leads


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    with view(tmp_path) as merged, pytest.raises(InvalidLayerError, match="too many symbolic links"):
        merged.resolve("a/x", follow_last=False)


def test_a_deep_path_is_walked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = "/".join(["d"] * 300)
    (tmp_path / deep).mkdir(parents=True)
    asked = 0
    stat = os.stat

    def counted(*arguments: object, **named: object) -> os.stat_result:
        nonlocal asked
        asked += 1
        return stat(*arguments, **named)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(os, "stat", counted)

    with view(tmp_path) as merged:
        assert merged.resolve(deep, follow_last=True) == deep

    assert asked < 1000
