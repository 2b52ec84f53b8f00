"""`headway check`: damage is named with the images it hurts, and mended by fetching only what is broken."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headway.store.lock import WriterLock
from tests.fakes import images
from tests.fakes.archives import docker_20, oci, tar_of
from tests.fakes.cli import Cli
from tests.faults.registry import Registry
from tests.faults.volume import MIB, volume

BASE = {f"usr/lib/{number}": images.noise(3_000 + number, seed=number) for number in range(20)}
TOP = {"srv/big": images.noise(200_000, seed=40)}
# Its tar does not name usr/, so that the chain gets a tree of its own.
LEANING = {"usr/bin/leaning": b"leaning" * 100}
APP = images.image([BASE, LEANING, TOP], tag="1", index=True)
OTHER = images.image([BASE], tag="2")


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry([APP, OTHER]) as running:
        yield running


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Path:
    place = tmp_path_factory.mktemp("pulled")
    (place / "daemon.json").write_text('{"record-recipes": true}')
    names = [f"{registry.host}/test/image:{tag}" for tag in "12"]
    done = Cli(place / "root")("pull", "-q", "--config-file", place / "daemon.json", *names)
    assert done.returncode == 0, done.stderr
    return place / "root"


@pytest.fixture
def headway(tmp_path: Path, pulled: Path, registry: Registry) -> Cli:
    subprocess.run(["cp", "-a", pulled, tmp_path / "root"], check=True)
    registry.log.clear()
    return Cli(tmp_path / "root")


def tree(headway: Cli, layer: int) -> Path:
    return headway.data_root / "trees" / APP.diff_ids[layer].replace(":", "-")


def checked(headway: Cli, *words: str) -> tuple[int, dict[str, Any]]:
    done = headway("check", "--format", "json", *words)
    found: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, found


def fetched(registry: Registry) -> list[str]:
    """Return the digests of the blobs that were asked for since the last call."""
    asked = [exchange.path.rpartition("/")[2] for exchange in registry.requests("blob")]
    registry.log.clear()
    return asked


def test_what_has_the_place_of_a_blob_or_a_tree_goes(headway: Cli) -> None:
    """Somebody's hand, or a file system's own repair."""
    config = headway.data_root / "blobs/sha256" / APP.image_id[7:]
    config.unlink()
    (config / "inside").mkdir(parents=True)
    shutil.rmtree(tree(headway, 2))
    tree(headway, 2).symlink_to("nowhere")

    status, found = checked(headway)
    mended = headway("check", "--repair", "--force")

    assert status == 1
    assert {each["kind"] for each in found["damaged"]} == {"blob", "layer"}
    assert any(fault.endswith(" is no file") for each in found["damaged"] for fault in each["faults"])
    assert mended.returncode == 0, mended.stderr
    assert checked(headway, "--full")[0] == 0


@pytest.mark.parametrize("kind", ["directory", "fifo"])
def test_what_has_the_place_of_a_recipe_goes(headway: Cli, kind: str) -> None:
    recipe = headway.data_root / "recipes" / tree(headway, 2).name
    recipe.unlink()
    if kind == "fifo":
        os.mkfifo(recipe)
    else:
        (recipe / "inside").mkdir(parents=True)

    status, found = checked(headway)
    mended = headway("check", "--repair", "--force")

    assert (status, [each["name"] for each in found["damaged"]]) == (1, [APP.diff_ids[2]])
    assert mended.returncode == 0, mended.stderr
    assert checked(headway, "--full")[0] == 0
    assert os.listdir(headway.data_root / "tmp") == []


def test_a_recipe_that_is_gone_is_told_of_with_what_it_costs(headway: Cli, registry: Registry, tmp_path: Path) -> None:
    (headway.data_root / "recipes" / tree(headway, 2).name).unlink()

    done = headway("check")
    saved = headway("save", "-o", tmp_path / "image.tar", f"{registry.host}/test/image:1")

    assert "; 1 without a recipe: only their total size; save or push may not" in done.stdout
    assert (saved.returncode, "or its recipe was lost" in saved.stderr) == (1, True)


def test_damage_that_nothing_mends_goes_with_its_image(headway: Cli, registry: Registry, tmp_path: Path) -> None:
    name, archive = f"{registry.host}/test/image:1", tmp_path / "image.tar"
    headway("save", "-o", archive, name)
    loaded = Cli(tmp_path / "loaded")
    loaded("load", "-i", archive)
    (tree(loaded, 2) / "srv/big").unlink()

    refused = loaded("check", "--repair", "--force")
    removed = loaded("rmi", name)
    loaded("load", "-i", archive)

    assert "headway rmi what it affects, and load, import or pull that again" in refused.stderr
    assert (removed.returncode, checked(loaded)[0]) == (0, 0)


@pytest.mark.parametrize("help_", [("load", "-i", "ARCHIVE"), ("prune", "--unfinished", "-f")])
def test_what_is_advised_for_an_image_that_a_start_has_forgotten_helps(
    headway: Cli, registry: Registry, tmp_path: Path, help_: tuple[str, ...]
) -> None:
    name, archive = f"{registry.host}/test/image:1", tmp_path / "image.tar"
    headway("save", "-o", archive, name)
    loaded = Cli(tmp_path / "loaded")
    loaded("load", "-i", archive)
    shutil.rmtree(tree(loaded, 2))
    loaded("tag", name, "local/app:1")

    refused = loaded("check", "--repair", "--force")
    helped = loaded(*(archive if word == "ARCHIVE" else word for word in help_))

    assert "load, import or pull it again (prune --unfinished removes it)" in refused.stderr
    assert (helped.returncode, checked(loaded)[0]) == (0, 0)


@pytest.mark.parametrize("kind", ["cut", "gone", "a directory"])
def test_a_layers_blob_that_was_kept_is_let_go_where_it_is_damaged(
    tmp_path: Path, registry: Registry, kind: str
) -> None:
    (tmp_path / "daemon.json").write_text('{"retain-layer-blobs": true}')
    headway = Cli(tmp_path / "root")
    headway("pull", "-q", "--config-file", tmp_path / "daemon.json", f"{registry.host}/test/image:1")
    blob = headway.data_root / "blobs" / APP.layers[0].replace(":", "/")
    os.truncate(blob, 10)
    if kind != "cut":
        blob.unlink()
    if kind == "a directory":
        blob.mkdir()
    registry.log.clear()

    status, found = checked(headway)
    mended, after = checked(headway, "--repair", "-f")

    assert (status, [(each["name"], each["remedy"]) for each in found["damaged"]]) == (1, [(APP.layers[0], "forget")])
    assert (mended, after["healthy"], fetched(registry), blob.exists()) == (0, True, [], False)


def test_what_the_disk_does_not_give_back_is_damaged_and_mended(tmp_path: Path) -> None:
    """btrfs says EIO of a block that has another checksum, as others do of a bad sector."""
    content = images.noise(300_000, seed=50)
    image = images.image([BASE, {"srv/big": content}], config={"Labels": {"long": "a" * 100_000}})
    (tmp_path / "daemon.json").write_text('{"record-recipes": true}')
    with Registry([image]) as registry, volume(tmp_path, "btrfs", 128 * MIB) as disk:
        headway = Cli(disk.root)
        headway("pull", "-q", "--config-file", tmp_path / "daemon.json", f"{registry.host}/test/image")
        files = [
            disk.root / "blobs/sha256" / image.image_id[7:],
            disk.root / "trees" / image.diff_ids[1].replace(":", "-") / "srv/big",
        ]
        subprocess.run(["sync", "-f", disk.path], check=True)
        for path in files:
            spoil(tmp_path / "btrfs.img", path)
        status, found = checked(headway, "--full")
        mended = headway("check", "--full", "--repair", "--force")
        again = checked(headway, "--full")

    assert status == 1
    assert {each["kind"]: each["remedy"] for each in found["damaged"]} == {"blob": "fetch", "layer": "fetch"}
    assert all("Input/output error" in fault for each in found["damaged"] for fault in each["faults"])
    assert mended.returncode == 0, mended.stderr
    assert again[0] == 0


def spoil(device: Path, path: Path) -> None:
    """Change what lies on a device of a file whose content is nowhere else on it, and have it read from there."""
    content = path.read_bytes()
    at = device.read_bytes().index(content[8192 : 8192 + 4096])
    with device.open("r+b") as raw:
        raw.seek(at)
        raw.write(bytes(4096))
        os.fsync(raw.fileno())
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@pytest.mark.parametrize("name", ["trees", "recipes", "mounts"])
def test_a_directory_that_is_none_is_named(headway: Cli, name: str) -> None:
    place = headway.data_root / name
    place.rename(headway.data_root.with_name("away"))
    place.write_text("")

    refused = headway("prune", "-a", "-f")

    assert refused.returncode == 1
    assert f"headway: {place} is in the way: Headway keeps a directory of that name; move it" in refused.stderr


def test_a_terminal_shows_in_one_line_how_far_it_is(headway: Cli) -> None:
    shown, _, result = headway.on_terminal("check").partition("\n")

    steps = shown.split("\r")[1:]
    assert steps == [f"checked {done} of {len(steps)}" for done in range(1, len(steps) + 1)]
    assert steps
    assert "as it was stored" in result


def test_a_terminal_that_cannot_be_drawn_on_shows_the_result_alone(headway: Cli) -> None:
    shown = replace(headway, environment={"TERM": "dumb"}).on_terminal("check")

    assert shown.startswith("images: ")


def test_a_whole_store_is_right(headway: Cli) -> None:
    status, found = checked(headway, "--full")

    assert (status, found["healthy"], found["damaged"]) == (0, True, [])
    assert (found["images"], found["layers"], found["layers_without_recipe"]) == (2, 3, 0)


def test_a_flipped_byte_is_found_by_a_full_check_and_only_its_layer_is_fetched(
    headway: Cli, registry: Registry
) -> None:
    target = tree(headway, 2) / "srv" / "big"
    data = bytearray(target.read_bytes())
    data[1000] ^= 1
    target.write_bytes(data)

    quick, _ = checked(headway)
    status, found = checked(headway, "--full")
    (damage,) = found["damaged"]
    mended, after = checked(headway, "--full", "--repair", "-f")

    assert (quick, status, mended) == (0, 1, 0)
    assert (damage["kind"], damage["name"]) == ("layer", APP.diff_ids[2])
    assert "srv/big" in damage["faults"][0]
    assert f"{registry.host}/test/image:1" in damage["images"][0]["names"]
    assert found["fetch_bytes"] == len(APP.blobs[APP.layers[2]])
    assert fetched(registry) == [APP.layers[2]]
    assert after["healthy"]
    assert target.read_bytes() == TOP["srv/big"]


def test_what_is_gone_is_found_by_the_quick_check(headway: Cli, registry: Registry) -> None:
    (tree(headway, 2) / "srv" / "big").unlink()
    headway.data_root.joinpath("blobs/sha256", APP.manifest_digest[7:]).write_bytes(b"rotten")

    status, found = checked(headway)
    mended, after = checked(headway, "--repair", "-f")

    assert (status, mended) == (1, 0)
    assert {(each["kind"], each["name"]) for each in found["damaged"]} == {
        ("layer", APP.diff_ids[2]),
        ("blob", APP.manifest_digest),
    }
    assert fetched(registry) == [APP.layers[2]]
    assert after["healthy"]


def test_a_tree_that_is_gone_comes_back_with_every_name_of_its_images(headway: Cli, registry: Registry) -> None:
    headway("tag", f"{registry.host}/test/image:1", "local/app:stable")
    before = headway("images", "--digests", "--format", "json").stdout
    shutil.rmtree(tree(headway, 0))

    status, found = checked(headway)
    mended, after = checked(headway, "--repair", "-f")

    (damage, *derived) = found["damaged"]
    assert (status, mended) == (1, 0)
    assert len(damage["images"]) == 2
    assert derived == []
    assert fetched(registry) == [APP.layers[0]]
    assert after["healthy"]
    assert {row["Tag"] for row in json.loads(before)["items"]} == {"1", "2", "stable"}
    listed = json.loads(headway("images", "--digests", "--format", "json").stdout)["items"]
    assert sorted(row["Tag"] for row in listed) == ["1", "2", "stable"]


def test_an_image_that_a_start_has_forgotten_is_told_of_until_it_is_back(headway: Cli, registry: Registry) -> None:
    shutil.rmtree(tree(headway, 2))
    started = headway("tag", f"{registry.host}/test/image:2", "local/other:1")
    status, found = checked(headway)

    mended, after = checked(headway, "--repair", "-f")

    assert "damaged on disk" in started.stderr
    assert (status, [each["kind"] for each in found["damaged"]]) == (1, ["image"])
    assert (mended, after["healthy"]) == (0, True)
    assert fetched(registry) == [APP.layers[2]]


def test_an_image_that_was_pulled_again_gets_the_other_names_back_that_a_start_has_forgotten(
    headway: Cli, registry: Registry
) -> None:
    headway("tag", f"{registry.host}/test/image:1", "local/app:stable")
    shutil.rmtree(tree(headway, 2))
    headway("tag", f"{registry.host}/test/image:2", "local/other:1")
    headway("pull", "-q", f"{registry.host}/test/image:1")
    status, found = checked(headway)

    mended, after = checked(headway, "--repair", "-f")

    (damage,) = found["damaged"]
    assert (status, damage["remedy"], [image["names"] for image in damage["images"]]) == (
        1,
        "rebuild",
        [["local/app:stable"]],
    )
    assert (mended, after["healthy"], after["repaired"]["images"]) == (0, True, 1)
    assert headway("inspect", "local/app:stable").returncode == 0


@pytest.mark.parametrize(("driver", "written"), [("overlay2", "diff"), ("vfs", "merged")])
def test_a_container_is_named_of_which_what_was_written_is_gone(
    headway: Cli, registry: Registry, tmp_path: Path, driver: str, written: str
) -> None:
    if driver == "overlay2" and os.geteuid() != 0:
        pytest.skip("mounts")
    (tmp_path / "driver.json").write_text(json.dumps({"storage-driver": driver}))
    chosen = ("--config-file", str(tmp_path / "driver.json"))
    made = headway(*chosen, "mount", "--read-write", f"{registry.host}/test/image:2")
    name = made.stderr.split()[2]
    headway(*chosen, "umount", name)
    (place,) = (headway.data_root / "rw").iterdir()
    before = checked(headway)
    shutil.rmtree(place / written)

    status, found = checked(headway)

    assert (before[0], status) == (0, 1)
    assert [(each["kind"], each["name"]) for each in found["damaged"]] == [("container", name)]


Archive = Callable[[images.Image], Mapping[str, bytes | str]]

# An archive in OCI's layout brings a manifest, for which a registry could be asked that has never had it.
ARCHIVES: list[Archive] = [docker_20, oci]


@pytest.mark.parametrize("is_forgotten_before", [False, True])
@pytest.mark.parametrize("archive", ARCHIVES)
def test_what_came_from_a_file_comes_back_with_a_layer_that_a_pulled_image_shares(
    headway: Cli,
    registry: Registry,
    tmp_path: Path,
    archive: Archive,
    *,
    is_forgotten_before: bool,
) -> None:
    name = f"{registry.host}/ours:1"
    ours = images.image([BASE, LEANING], config={"Cmd": ["ours"]}, tag=name)
    (tmp_path / "ours.tar").write_bytes(tar_of(archive(ours)))
    headway("load", "-i", tmp_path / "ours.tar")
    shutil.rmtree(tree(headway, 0))
    if is_forgotten_before:
        headway("tag", "nothing", "other")
    registry.log.clear()

    mended = headway("check", "--repair", "-f")

    assert mended.returncode == 0, mended.stderr
    assert fetched(registry) == [APP.layers[0]]
    assert checked(headway, "--full")[1]["images"] == 3
    assert headway("images", "-q", "--no-trunc", name).stdout.strip() == ours.image_id


@pytest.mark.parametrize("archive", ARCHIVES)
def test_what_came_from_a_file_and_lost_only_a_derived_tree_is_made_again(tmp_path: Path, archive: Archive) -> None:
    ours = images.image([BASE, LEANING], tag="docker.io/library/ours:1")
    (tmp_path / "ours.tar").write_bytes(tar_of(archive(ours)))
    loaded = Cli(tmp_path / "loaded")
    loaded("load", "-i", tmp_path / "ours.tar")
    for derived in (loaded.data_root / "trees").glob("chain-*"):
        shutil.rmtree(derived)
    loaded("tag", "nothing", "other")

    status, found = checked(loaded)
    mended = loaded("check", "--repair", "-f")

    assert (status, [each["remedy"] for each in found["damaged"]]) == (1, ["rebuild"])
    assert mended.returncode == 0, mended.stderr
    assert checked(loaded, "--full")[1]["images"] == 1
    assert loaded("images", "-q", "--no-trunc").stdout.strip() == ours.image_id


def test_a_derived_tree_is_derived_again_and_nothing_is_fetched(headway: Cli, registry: Registry) -> None:
    (derived,) = (headway.data_root / "trees").glob("chain-*/usr/bin/leaning")
    derived.unlink()

    status, found = checked(headway)
    mended, after = checked(headway, "--repair", "-f")

    assert (status, [each["kind"] for each in found["damaged"]]) == (1, ["derived layer"])
    assert (mended, after["healthy"], fetched(registry)) == (0, True, [])
    assert derived.read_bytes() == LEANING["usr/bin/leaning"]


def test_what_a_derived_tree_shares_with_a_mended_layer_is_mended_too(headway: Cli, registry: Registry) -> None:
    (derived,) = (headway.data_root / "trees").glob("chain-*/usr/bin/leaning")
    derived.write_bytes(b"changed" * 100)

    status, _ = checked(headway, "--full")
    mended, after = checked(headway, "--full", "--repair", "-f")

    assert (status, mended, after["healthy"]) == (1, 0, True)
    assert fetched(registry) == [APP.layers[1]]
    assert derived.read_bytes() == LEANING["usr/bin/leaning"]


def test_without_database_and_log_layers_and_images_come_back_from_their_content(
    headway: Cli, registry: Registry
) -> None:
    for path in headway.data_root.glob("headway.db*"):
        path.unlink()
    (headway.data_root / "records.log").unlink()

    listed = headway("images")
    status, found = checked(headway)
    mended, after = checked(headway, "--full", "--repair", "-f")
    images_here = set(headway("images", "-q", "--no-trunc", "-a").stdout.split())

    assert (listed.returncode, status, mended) == (1, 1, 0)
    assert "headway check --repair" in listed.stderr
    assert [each["kind"] for each in found["damaged"]] == ["records"]
    assert (after["healthy"], after["images"], after["layers"], fetched(registry)) == (True, 2, 3, [])
    assert images_here == {APP.image_id, OTHER.image_id}


def test_a_database_that_is_gone_is_told_and_rebuilt(headway: Cli, registry: Registry) -> None:
    before = headway("images", "--no-trunc", "--digests").stdout
    for path in headway.data_root.glob("headway.db*"):
        path.unlink()

    status, found = checked(headway)
    mended, after = checked(headway, "--repair", "-f")

    assert (status, [each["kind"] for each in found["damaged"]]) == (1, ["records"])
    assert (mended, after["healthy"], fetched(registry)) == (0, True, [])
    assert headway("images", "--no-trunc", "--digests").stdout == before


def test_a_database_whose_index_misses_a_row_is_told_and_rebuilt(headway: Cli, registry: Registry) -> None:
    before = headway("images", "--no-trunc", "--digests").stdout
    database = headway.data_root / "headway.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((size,),) = connection.execute("PRAGMA page_size").fetchall()
        sql = "SELECT rootpage FROM sqlite_master WHERE name = 'image_blobs_by_digest'"
        ((page,),) = connection.execute(sql).fetchall()
    data = bytearray(database.read_bytes())
    data[page * size - 20] ^= 1  # in the first key
    database.write_bytes(data)

    status, found = checked(headway)
    mended, after = checked(headway, "--repair", "-f")

    assert (status, [each["kind"] for each in found["damaged"]]) == (1, ["records"])
    assert (mended, after["healthy"], fetched(registry)) == (0, True, [])
    assert headway("images", "--no-trunc", "--digests").stdout == before
    assert headway("prune", "-a", "-f").returncode == 0
    assert os.listdir(headway.data_root / "trees") == []


def test_what_sqlite_says_of_a_damaged_database_is_one_line_without_its_heading(headway: Cli) -> None:
    database = headway.data_root / "headway.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((size,),) = connection.execute("PRAGMA page_size").fetchall()
        ((page,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'names'").fetchall()
    data = bytearray(database.read_bytes())
    data[(page - 1) * size + 7] ^= 16  # how many bytes are said to be lost between the rows
    database.write_bytes(data)

    told = headway("check").stderr
    mended = headway("check", "--repair", "-f").stderr

    assert "the database: Fragmentation of " in told
    assert f"{database} was damaged: Fragmentation of " in mended
    assert "***" not in told + mended


def test_without_a_terminal_repair_needs_force_and_changes_nothing(headway: Cli, registry: Registry) -> None:
    (tree(headway, 2) / "srv" / "big").unlink()

    done = headway("check", "--repair")

    assert (done.returncode, fetched(registry)) == (2, [])
    assert f"downloads {len(APP.blobs[APP.layers[2]]):,} bytes" in done.stderr
    assert "--force" in done.stderr


def test_where_the_link_fails_the_image_stays_listed_and_the_same_command_goes_on(tmp_path: Path) -> None:
    headway = Cli(tmp_path / "root")
    (tmp_path / "daemon.json").write_text('{"max-download-attempts": 1, "download-patience": "0"}')
    with Registry([APP]) as gone:
        name = f"{gone.host}/test/image:1"
        assert headway("pull", "-q", name).returncode == 0
    big = tree(headway, 2) / "srv" / "big"
    big.write_bytes(b"broken")

    done = headway("check", "--repair", "-f", "--format", "json", "--config-file", tmp_path / "daemon.json")

    assert done.returncode == 75
    assert "not complete" in done.stderr
    assert name in headway("images", "--format", "{{.Repository}}:{{.Tag}}").stdout
    assert big.read_bytes() == b"broken"


def test_it_checks_beside_a_writer_and_says_whom_a_repair_waits_for(headway: Cli) -> None:
    (tree(headway, 2) / "srv" / "big").unlink()
    with WriterLock(headway.data_root / "lock"):
        status, found = checked(headway)
        refused = headway("check", "--repair", "-f")

    assert (status, len(found["damaged"])) == (1, 1)
    assert refused.returncode == 75
    assert f"process {os.getpid()}" in refused.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_a_layer_that_is_mounted_is_not_replaced(headway: Cli, registry: Registry) -> None:
    place = headway("mount", f"{registry.host}/test/image:1").stdout.strip()
    (tree(headway, 2) / "srv" / "big").unlink()

    refused = headway("check", "--repair", "-f")
    headway("umount", place)
    mended, _ = checked(headway, "--repair", "-f")

    assert (refused.returncode, mended) == (1, 0)
    assert f"{place} shows layers" in refused.stderr
