"""Taking something out of a tree that somebody else may change meanwhile."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.removal import remove


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[int]:
    """The directory that things are removed from: a container's root, say."""
    (tmp_path / "root").mkdir()
    descriptor = os.open(tmp_path / "root", os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_what_is_removed_is_told_from_the_inside_out(parent: int, tmp_path: Path) -> None:
    (tmp_path / "root/a/b").mkdir(parents=True)
    (tmp_path / "root/a/b/f").touch()
    told: list[bytes] = []

    remove(parent, b"a", lambda path, _: told.append(path))

    assert told == [b"a/b/f", b"a/b", b"a"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts something")
def test_what_is_mounted_inside_is_not_looked_into(parent: int, tmp_path: Path) -> None:
    place = tmp_path / "root/a/b"
    place.mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/kept").touch()
    subprocess.run(["mount", "--bind", tmp_path / "outside", place], check=True)

    try:
        with pytest.raises(OSError, match="busy"):
            remove(parent, b"a")
    finally:
        subprocess.run(["umount", place], check=True)

    assert os.listdir(tmp_path / "outside") == ["kept"]


def test_a_directory_that_is_moved_up_meanwhile_leads_nothing_outside_to_ruin(parent: int, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a/b/c/d").mkdir(parents=True)
    (root / "a/b/c/d/f").touch()
    (root / "a/precious").mkdir()  # a name that has to go, in there
    (tmp_path / "b").mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/kept").touch()

    def move(path: bytes, _: os.stat_result) -> None:
        if path.endswith(b"/f"):
            os.rename(root / "a/b/c", root / "c")

    with pytest.raises(OSError, match="moved away") as raised:
        remove(parent, b"a", move)

    assert raised.value.errno == errno.ESTALE
    assert (tmp_path / "b").exists()
    assert os.listdir(tmp_path / "precious") == ["kept"]
