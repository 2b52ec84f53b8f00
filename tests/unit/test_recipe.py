"""A recipe that was damaged is told as one; golden files hold the format where it is."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import NotFoundError, StoreCorruptError
from headway.layers.recipes.codec import Codec, compressor, expanded
from headway.layers.recipes.format import FILE_HEADER, PART_HEAD, VERSION
from headway.layers.recipes.rebuild import verified
from headway.layers.recipes.recipe import Recipe
from tests.fakes.recipes import given_back, record
from tests.fakes.tars import V7, Item, directory, file, hardlink, header, long_name, padded, pax, symlink, tar, whiteout

GOLDEN = Path(__file__).parent.parent / "golden"
ARCHIVE = tar(
    directory("etc/", mode=0o555),
    file("etc/passwd", b"root:x:0:0::/root:/bin/sh\n", mtime=1_700_000_000),
    file("etc/passwd", b"root:x:0:0::/root:/bin/ash\n", mtime=1_700_000_001),
    symlink("etc/mtab", "/proc/mounts"),
    hardlink("etc/passwd-", "etc/passwd"),
    whiteout("var/gone"),
    file("secret", b"locked", mode=0, uid=1000, records={"mtime": "1700000000.123456789"}),
    long_name(b"l" * 130) + header(b"l" * 100, size=600) + b"long" * 150 + b"p" * 424,
    file("n" * 140, b"gnu"),
    pax({"comment": "global"}, kind=b"g"),
    header(b"old", size=3, magic=V7) + padded(b"old"),
    Item("tty", type="char", device=(5, 0)),
    file("var/.wh.noted", b"a whiteout with content"),
    symlink("e", "etc"),
    file("e/through", b"a link on the way"),
    pax({"GNU.sparse.map": "1,2,9,3", "GNU.sparse.size": "20"}) + header(b"holes", size=5) + padded(b"abcde"),
    end=b"\0" * 1500 + b"behind",
)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    record(ARCHIVE, tmp_path, rootless=True)
    return tmp_path


# --- golden files ---


@pytest.mark.parametrize("name", ["stored", "zlib", "zstd"])
def test_todays_reader_reads_yesterdays_recipes(tmp_path: Path, name: str) -> None:
    archive = (GOLDEN / "layer.tar").read_bytes()
    record(archive, tmp_path, rootless=True)

    shutil.copy(GOLDEN / f"recipe-v2-{name}", tmp_path / "recipe")

    assert given_back(tmp_path) == archive


def test_the_version_changes_when_the_bytes_do(tmp_path: Path) -> None:
    """Where this fails, `VERSION` has to grow, the old version be read on, and new golden files join the old ones."""
    record((GOLDEN / "layer.tar").read_bytes(), tmp_path, rootless=True, codec=Codec.STORED)

    assert (tmp_path / "recipe").read_bytes() == (GOLDEN / f"recipe-v{VERSION}-stored").read_bytes()


# --- damage ---


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    record(ARCHIVE, folder, rootless=True)
    (folder / "recipe").rename(folder / "good")
    return folder


@given(data=st.data())
def test_a_byte_that_flips_is_found(damaged: Path, data: st.DataObject) -> None:
    recipe = bytearray((damaged / "good").read_bytes())
    at = data.draw(st.integers(0, len(recipe) - 1))
    recipe[at] ^= data.draw(st.integers(1, 255))
    (damaged / "recipe").write_bytes(recipe)

    with pytest.raises(StoreCorruptError):
        given_back(damaged)


@given(data=st.data())
def test_a_recipe_that_is_cut_short_is_found(damaged: Path, data: st.DataObject) -> None:
    recipe = (damaged / "good").read_bytes()
    (damaged / "recipe").write_bytes(recipe[: data.draw(st.integers(0, len(recipe) - 1))])

    with pytest.raises(StoreCorruptError):
        given_back(damaged)


@given(data=st.data())
def test_a_recipe_made_to_deceive_is_no_crash(damaged: Path, data: st.DataObject) -> None:
    """Its checksums are right: whoever wrote it meant it."""
    recipe = bytearray((damaged / "good").read_bytes())
    parts = _parts(bytes(recipe))
    at, length = parts[data.draw(st.integers(0, len(parts) - 1))]
    for _ in range(data.draw(st.integers(1, 4))):
        recipe[at + data.draw(st.integers(0, PART_HEAD.size + length - 1))] = data.draw(st.integers(0, 255))
    (damaged / "recipe").write_bytes(_resealed(recipe, at, length))

    try:
        found = given_back(damaged)
    except StoreCorruptError:
        return

    assert found == ARCHIVE


def _parts(recipe: bytes) -> list[tuple[int, int]]:
    parts = []
    at = FILE_HEADER.size
    while at < len(recipe):
        parts.append((at, PART_HEAD.unpack_from(recipe, at)[6]))
        at += PART_HEAD.size + parts[-1][1]
    return parts


def _resealed(recipe: bytearray, at: int, length: int) -> bytes:
    head = recipe[at : at + PART_HEAD.size - 4]
    body = recipe[at + PART_HEAD.size : at + PART_HEAD.size + length]
    recipe[at + PART_HEAD.size - 4 : at + PART_HEAD.size] = crc32(body, crc32(head)).to_bytes(4, "little")
    return bytes(recipe)


def test_a_recipe_of_a_newer_headway_is_told_as_one(recorded: Path) -> None:
    recipe = bytearray((recorded / "recipe").read_bytes())
    recipe[8] = VERSION + 1
    (recorded / "recipe").write_bytes(recipe)

    with pytest.raises(StoreCorruptError, match=f"has format {VERSION + 1}; this Headway knows {VERSION}"):
        Recipe(recorded / "recipe")


@pytest.mark.parametrize("codec", [Codec.ZLIB, Codec.ZSTD])
def test_a_bomb_expands_to_no_more_than_it_announced(codec: Codec) -> None:
    bomb = compressor(codec)(bytes(100 << 20))
    tracemalloc.start()

    with pytest.raises(ValueError, match="another length"):
        expanded(codec, bomb, 1000)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 << 20


def test_no_recipe_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Recipe(tmp_path / "recipe")


def test_a_recipe_that_was_not_finished_is_none(tmp_path: Path) -> None:
    (tmp_path / "recipe").write_bytes(bytes(FILE_HEADER.size))

    with pytest.raises(StoreCorruptError, match="does not begin as one"):
        Recipe(tmp_path / "recipe")


def test_it_says_which_layer_it_is_of(recorded: Path) -> None:
    with Recipe(recorded / "recipe") as recipe:
        found = recipe.tar_size, len(b"".join(verified(recipe, recorded / "tree")))

    assert found == (len(ARCHIVE), len(ARCHIVE))
