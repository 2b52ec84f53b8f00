"""Nothing there is one thing, and a disk that does not tell another, with every Python."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import headway
from headway.composition.writing import writing
from headway.errors import StoreError
from headway.interfaces.inventory import StoredTree
from headway.layers.recipes.tree_check import examine_tree
from headway.oci.digest import DiffID, Digest
from headway.paths import is_directory, is_file, is_there
from headway.settings import Settings
from headway.store.data_root import DataRoot
from headway.store.recovery.rebuild import open_whole


def _asked(names: set[str], ask: Callable[..., os.stat_result], path: str | int, **how: bool) -> os.stat_result:
    if not isinstance(path, int) and os.path.basename(os.fsdecode(path)) in names:
        raise OSError(errno.EIO, "Input/output error", path)
    return ask(path, **how)


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of what the disk tells nothing of, whatever is asked, as Python 3.14 passes that on."""
    names: set[str] = set()
    for name in ("stat", "lstat"):
        monkeypatch.setattr(os, name, partial(_asked, names, getattr(os, name)))
    as_of_3_14 = ("exists", os.path.exists), ("is_file", os.path.isfile), ("is_dir", os.path.isdir)
    for name, answer in (*as_of_3_14, ("is_symlink", os.path.islink)):
        monkeypatch.setattr(Path, name, lambda path, answer=answer: answer(path))
    return names


def test_what_lies_there_is_told_by_its_kind(tmp_path: Path) -> None:
    file, pipe, dangling, loop = (tmp_path / name for name in ("file", "pipe", "dangling", "loop"))
    file.touch()
    os.mkfifo(pipe)
    dangling.symlink_to("nowhere")
    loop.symlink_to("loop")

    kinds = {
        path.name: (is_there(path), is_file(path), is_directory(path))
        for path in (tmp_path, file, pipe, dangling, loop, file / "below", tmp_path / "absent")
    }

    assert kinds == {
        tmp_path.name: (True, False, True),
        "file": (True, True, False),
        "pipe": (True, False, False),
        **dict.fromkeys(("dangling", "loop", "below", "absent"), (False, False, False)),
    }
    assert (is_there(dangling, follow=False), is_file(dangling, follow=False)) == (True, False)


def test_a_disk_that_does_not_tell_has_not_told_that_nothing_is_there(tmp_path: Path, unreadable: set[str]) -> None:
    (tmp_path / "bad").touch()
    unreadable.add("bad")

    assert not (tmp_path / "bad").exists()
    for asked in (is_there, is_file, is_directory):
        with pytest.raises(OSError, match="Input/output"):
            asked(tmp_path / "bad")


@pytest.mark.parametrize("name", ["headway.db", "records.log"])
def test_a_database_that_the_disk_does_not_tell_of_is_not_begun_anew(
    tmp_path: Path, unreadable: set[str], name: str
) -> None:
    with writing(Settings(data_root=tmp_path / "root"), tell=pytest.fail):
        pass
    (tmp_path / "root/headway.db").write_bytes(b"damaged" * 1000)
    before = sorted(os.listdir(tmp_path / "root"))
    unreadable.add(name)

    with pytest.raises(StoreError, match="Input/output"):
        open_whole(DataRoot(tmp_path / "root"), program="1.0", tell=pytest.fail, from_nothing=True)

    assert sorted(os.listdir(tmp_path / "root")) == before


def test_a_tree_that_the_disk_does_not_tell_of_is_unreadable_and_not_gone(tmp_path: Path, unreadable: set[str]) -> None:
    (tmp_path / "tree").mkdir()
    unreadable.add("tree")
    tree = StoredTree(
        diff_id=DiffID(Digest.of(b"")), chain_id=None, path=tmp_path / "tree", recipe=None, size=0, members=0
    )

    assert list(examine_tree(tree, full=False)) == ["it cannot be read: Input/output error"]


def test_nobody_who_works_below_the_data_root_asks_paths_themselves() -> None:
    home = Path(headway.__file__).parent
    asked = re.compile(r"(?<!entry)\.(exists|is_symlink|is_file|is_dir)\(|os\.path\.(isfile|isdir|islink)\b")

    found = [
        f"{path.relative_to(home)}: {line.strip()}"
        for room in ("store", "layers", "composition")
        for path in sorted((home / room).rglob("*.py"))
        for line in path.read_text().splitlines()
        if asked.search(line)
    ]

    assert found == [
        # In a handler: where the disk does not tell, the note is as good as none.
        "store/trees/directories.py: stays = not isinstance(error, StoreError) and os.path.exists(note_beside(path))",
        "layers/archives/reader.py: if path.is_dir():",  # of what the user names
    ]
