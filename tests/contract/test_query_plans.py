"""What is asked all the time is found by index, however large the store: none of these reads a whole table."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from headway.composition.writing import writing
from headway.layers.archives.writer import write_archive
from headway.layers.recipes.layer_tars import StoredLayerTars
from headway.oci.digest import DiffID
from headway.oci.reference import Reference
from headway.service.archives.saving import Saver
from headway.service.images.delete import delete_image
from headway.service.images.history import history_of
from headway.service.images.inspection import details_of
from headway.service.images.lookup import Lookup
from headway.service.images.tagging import tag_image
from headway.service.pushing.names import PushNames
from headway.service.stores import Stores
from headway.settings import Settings
from tests.fakes.house import add_image

NAME = "registry.example/team/app:1"
PATHS: dict[str, Callable[[Stores, str], object]] = {
    "by name": lambda stores, _: Lookup(stores).find(NAME),
    "by ID": lambda stores, image_id: Lookup(stores).find(image_id),
    "by the beginning of an ID": lambda stores, image_id: Lookup(stores).find(image_id[7:19]),
    "inspect": lambda stores, _: details_of(stores, NAME, driver="overlay2"),
    "history": lambda stores, _: history_of(stores, NAME),
    "tag": lambda stores, _: tag_image(stores, NAME, "local/other:1"),
    "untag": lambda stores, _: delete_image(stores, NAME),
    "delete": lambda stores, image_id: delete_image(stores, image_id, force=True),
    "save": lambda stores, image_id: _saver(stores).plan([NAME, "registry.example/team/app", image_id[7:19]]),
    "push": lambda stores, _: PushNames(stores).tags(Reference.parse(NAME)),
    "make": lambda stores, _: add_image(stores, "local/new:1", layers=("base", "new")),
}


def _saver(stores: Stores) -> Saver:
    """Return what plans an archive; of layers without recipes, too."""

    class Tars(StoredLayerTars):
        def size(self, diff_id: DiffID) -> int | None:
            return super().size(diff_id) or 1

    return Saver(stores, tars=Tars(stores.layers), write=write_archive)


def plans_of(connection: sqlite3.Connection, statements: list[str]) -> dict[str, list[str]]:
    """Return how SQLite goes about each statement that reads or changes rows."""
    return {
        statement: [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
        for statement in statements
        if re.match("SELECT|INSERT|UPDATE|DELETE", statement)
    }


@pytest.mark.parametrize("path", PATHS)
def test_a_hot_path_scans_no_table(path: str, tmp_path: Path) -> None:
    with writing(Settings(data_root=tmp_path / "root"), tell=pytest.fail) as stores:
        image_id = add_image(stores, NAME, "registry.example/team/app:2", layers=("base", "top"))
        connection: sqlite3.Connection = stores.transaction.__self__._connection  # type: ignore[attr-defined]
        asked: list[str] = []
        connection.set_trace_callback(asked.append)

        PATHS[path](stores, image_id)

        connection.set_trace_callback(None)
        plans = plans_of(connection, asked)
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]

    scans = {
        step: statement
        for statement, plan in plans.items()
        for step in plan
        if re.match(f"SCAN ({'|'.join(tables)})\\b", step)
    }
    assert plans
    assert scans == {}
