"""Archives of images as files and directories: what reading the hostile ones costs."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from headway.layers.archives.reader import opened
from headway.store.removal import remove_tree
from tests.fakes.tars import file, pax, tar
from tests.fakes.trees import nest


def test_records_of_an_archives_entries_do_not_stay_in_memory(tmp_path: Path) -> None:
    records = pax({"comment": "c" * 500_000})
    (tmp_path / "archive.tar").write_bytes(b"".join(records + tar(file(f"{n}"), end=b"") for n in range(40)))

    tracemalloc.start()
    try:
        with opened(tmp_path / "archive.tar") as archive:
            names = [each.name for each in archive.files()]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(names) == 40
    assert peak < 6 << 20


def test_a_directory_may_be_nested_deeper_than_calls(tmp_path: Path) -> None:
    nest(tmp_path, "d", 1100, body=b"")

    try:
        with opened(tmp_path) as archive:
            names = [each.name for each in archive.files()]
    finally:
        remove_tree(tmp_path / "d")

    assert names == ["d/" * 1100 + "f"]
