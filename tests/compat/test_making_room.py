"""`headway df` and `prune`: the figures are du's, and what is promised is what the disk gets back."""

from __future__ import annotations

import json
import os
import pty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headway.store.lock import WriterLock
from headway.units import size
from tests.fakes import disks, images
from tests.fakes.cli import Cli
from tests.faults.registry import Registry
from tests.faults.story import CutAfter, Fault, Status

BASE = {f"usr/lib/{number}": images.noise(2_000 + 137 * number, seed=number) for number in range(60)}
# Its tar does not name etc/, so that the chain gets a tree of its own.
LEANING = {"etc/passwd": b"root", "srv/big": images.noise(700_000, seed=70)}
FIRST = images.image([BASE, LEANING], tag="1", index=True, config={"Labels": {"keep": "yes"}})
SECOND = images.image([BASE, {"srv/other": images.noise(400_000, seed=71)}], tag="2")
MOVED = images.image([BASE, {"srv/moved": images.noise(300_000, seed=72)}], tag="1")
STOPPED = images.image([images.noise_layer(200_000, seed=73), images.noise_layer(900_000, seed=74)], tag="stopped")
PAGE = 4096


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry([FIRST, SECOND]) as running:
        running.add(STOPPED, repository="test/stopped")
        running.add(MOVED, repository="test/moved")
        half, rest = range(1, 2), range(2, 100)
        running.faults = [
            Fault(CutAfter(500_000), kind="blob", digest=STOPPED.layers[1], nth=half),
            Fault(Status(404), kind="blob", digest=STOPPED.layers[1], nth=rest),
        ]
        yield running


@pytest.fixture
def headway(tmp_path: Path) -> Iterator[Cli]:
    with disks.disk(tmp_path, megabytes=40) as place:
        yield Cli(place / "root")


def pull(headway: Cli, registry: Registry, *names: str) -> None:
    done = headway("pull", "-q", *(f"{registry.host}/test/{name}" for name in names))
    assert done.returncode == 0, done.stderr


def stop_a_pull(headway: Cli, registry: Registry) -> None:
    """Leave a pull unfinished, with one layer whole and another half here."""
    words = ("pull", "-q", "--max-download-attempts", "1", f"{registry.host}/test/stopped:stopped")
    said = ""
    while "1 of 2 layers whole" not in said:  # the failure of one may have stopped the other in the middle
        done = headway(*words)
        assert done.returncode != 0
        assert done.stderr != said
        said = done.stderr


def df(headway: Cli) -> dict[str, Any]:
    done = headway("df", "--format", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rows(usage: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["Type"]: row for row in usage["items"]}


def used(place: Path) -> int:
    os.sync()
    status = os.statvfs(place)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a disk")
def test_the_sum_is_what_du_says_and_prune_frees_what_it_promised(headway: Cli, registry: Registry) -> None:
    root = headway.data_root
    pull(headway, registry, "image:1", "image:2")
    stop_a_pull(headway, registry)

    usage = df(headway)
    before = used(root)
    promised = {name: json.loads(json.dumps(usage["reclaimable"]))[name] for name in ("dangling", "all", "unfinished")}

    assert usage["total"] == pytest.approx(disks.du(root), rel=0.01)
    assert usage["total"] == sum(row["Bytes"] for row in usage["items"] if row["Type"] != "Total")
    assert rows(usage)["Unfinished downloads"]["Bytes"] > 700_000
    for words, freed in ((["-a"], promised["all"]), (["--unfinished"], promised["unfinished"])):
        done = headway("prune", "-f", *words)
        after = used(root)

        assert done.returncode == 0, done.stderr
        assert before - after == pytest.approx(freed, abs=8 * PAGE)
        assert df(headway)["total"] == pytest.approx(disks.du(root), rel=0.01)
        before = after
    left = df(headway)
    assert (left["reclaimable"], left["images"], left["layers"]) == (
        {"dangling": 0, "all": 0, "unfinished": 0},
        [],
        [],
    )
    assert [os.listdir(root / name) for name in ("trees", "ingest", "tmp", "recipes")] == [[], [], [], []]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a disk")
def test_what_an_image_shares_and_what_goes_with_it(headway: Cli, registry: Registry) -> None:
    pull(headway, registry, "image:1", "image:2")
    usage = {image["names"][0].rpartition(":")[2]: image for image in df(headway)["images"]}
    before = used(headway.data_root)

    done = headway("rmi", f"{registry.host}/test/image:1")

    assert done.returncode == 0, done.stderr
    assert before - used(headway.data_root) == pytest.approx(usage["1"]["unique"], abs=8 * PAGE)
    assert usage["1"]["shared"] == usage["2"]["shared"] > 60 * PAGE
    assert usage["1"]["size"] == sum(map(len, (*BASE.values(), *LEANING.values())))


def test_only_images_without_a_tag_go_unless_all_are_named(tmp_path: Path, registry: Registry) -> None:
    headway = Cli(tmp_path / "root")
    pull(headway, registry, "image:1", "image:2", "moved:1")
    headway("tag", f"{registry.host}/test/moved:1", f"{registry.host}/test/image:2")

    promised = headway("prune", "--dry-run").stdout
    tagged = headway("prune", "-f").stdout
    headway("rmi", f"{registry.host}/test/image:1")
    everything = headway("prune", "-f", "--all").stdout

    assert f"deleted: {SECOND.image_id}" in tagged
    assert tagged.startswith("Deleted Images:\nuntagged: ")
    assert promised.startswith("Images to Delete:\nuntagged: ")
    assert tagged.splitlines()[-1].startswith("Total reclaimed space: ")
    assert f"deleted: {MOVED.image_id}" not in tagged
    assert f"deleted: {MOVED.image_id}" in everything
    assert headway("images", "-aq").stdout == ""


def test_filters_say_which(tmp_path: Path, registry: Registry) -> None:
    headway = Cli(tmp_path / "root")
    pull(headway, registry, "image:1", "image:2")

    def going(*filters: str) -> set[str]:
        done = headway("prune", "-a", "--dry-run", *(word for each in filters for word in ("--filter", each)))
        assert done.returncode == 0, done.stderr
        images_here = {FIRST.image_id: "first", SECOND.image_id: "second"}
        return {name for image_id, name in images_here.items() if f"deleted: {image_id}" in done.stdout}

    assert going() == {"first", "second"}
    assert going("label=keep") == {"first"}
    assert going("label=keep=no") == set()
    assert going("label!=keep") == {"second"}
    assert going("until=2026-01-02T03:04:04Z") == set()  # both were made a second later
    assert going("until=2026-01-02T03:04:05Z") == {"first", "second"}
    assert going("dangling=true") == set()
    assert len(headway("images", "-q").stdout.split()) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--filter", "colour=red"], "invalid filter 'colour'"),
        (["--filter", "until=1h", "--filter", "until=2h"], "more than one until filter specified"),
        (["--filter", "until=yesterday"], "invalid time 'yesterday'"),
    ],
)
def test_filters_that_make_no_sense_are_refused(tmp_path: Path, words: list[str], said: str) -> None:
    done = Cli(tmp_path / "root")("prune", *words)

    assert said in done.stderr
    assert done.returncode != 0


def reclaimable(headway: Cli) -> str:
    """Return how much a prune of everything would free, as it says it."""
    items = json.loads(headway("df", "--format", "json").stdout)["items"]
    (room,) = [item["ReclaimableBytes"] for item in items if item["Type"] == "Total"]
    assert room > 1_000_000  # both layers, however the disk's blocks round them
    return size(room)


def test_without_a_terminal_it_does_not_ask_and_removes_nothing(tmp_path: Path, registry: Registry) -> None:
    headway = Cli(tmp_path / "root")
    pull(headway, registry, "image:1")

    done = headway("prune", "-a")

    assert done.returncode == 2
    assert done.stderr == (
        "headway: prune asks before it removes anything, and there is no terminal to ask on: add --force\n"
    )
    assert len(headway("images", "-q").stdout.split()) == 1


@pytest.mark.parametrize(("answer", "left"), [("n", 1), ("", 1), ("y", 0)])
def test_on_a_terminal_it_says_what_goes_and_asks(tmp_path: Path, registry: Registry, answer: str, left: int) -> None:
    headway = Cli(tmp_path / "root")
    pull(headway, registry, "image:1")
    room = reclaimable(headway)
    ours, theirs = pty.openpty()
    with headway.start("prune", "-a", stdin=theirs) as process:
        os.write(ours, f"{answer}\n".encode())
        stdout, stderr = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)

    assert process.returncode == 0, stderr
    assert f"headway: would remove {registry.host}/test/image:1\n" in stderr
    assert f"headway: this removes 1 image and whatever nothing needs, and frees {room}\n" in stderr
    assert stderr.endswith("Go on? [y/N] ")
    assert ("Total reclaimed space" in stdout) == (left == 0)
    assert len(headway("images", "-q").stdout.split()) == left


def test_df_shows_tables_and_fields(tmp_path: Path, registry: Registry) -> None:
    headway = Cli(tmp_path / "root")
    pull(headway, registry, "image:1", "image:2")

    table = headway("df").stdout.splitlines()
    detailed = headway("df", "-v").stdout
    fields = headway("df", "--format", "{{.Type}}={{.TotalCount}}").stdout.splitlines()
    refused = headway("df", "--format", "{{.Nothing}}")

    assert table[0].split() == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
    assert table[1].startswith("Images                 2       0        ")
    assert table[1].endswith("(100%)")
    assert [line.partition("  ")[0] for line in table[1:]] == [
        "Images",
        "Containers",
        "Unfinished downloads",
        "Recipes",
        "Database",
        "Other",
        "Total",
    ]
    assert fields[0] == "Images=2"
    assert "SHARED SIZE" in detailed
    assert FIRST.image_id.removeprefix("sha256:")[:12] in detailed
    assert refused.returncode == 2


def test_what_a_killed_process_left_is_promised_and_goes_with_any_prune(tmp_path: Path, registry: Registry) -> None:
    headway = Cli(tmp_path / "root")
    pull(headway, registry, "image:1")
    counted = df(headway)["total"]
    before = disks.du(headway.data_root)
    # As a removal that was cut short leaves it: directories of one tree beside each other, with links in common.
    first, second = (headway.data_root / "tmp" / f"0123456789abcdef.{number}" for number in range(2))
    first.mkdir()
    second.mkdir()
    (first / "file").write_bytes(b"x" * 500_000)
    (second / "link").hardlink_to(first / "file")
    # As the making of a derived tree leaves it, before and behind its move: most files are another tree's.
    (orphan := headway.data_root / "trees" / "orphan").mkdir()
    large = next(headway.data_root.glob("trees/sha256-*/srv/big"))
    (second / "shared").hardlink_to(large)
    (orphan / "shared").hardlink_to(large)
    left = disks.du(headway.data_root) - before

    usage = df(headway)
    promised = headway("prune", "--dry-run")
    done = headway("prune", "-f")

    assert rows(usage)["Other"]["ReclaimableBytes"] == usage["reclaimable"]["dangling"] == left
    assert usage["total"] == counted + left
    assert promised.stdout == f"Total reclaimable space: {size(left)}\n"
    assert done.stdout == f"Total reclaimed space: {size(left)}\n"
    assert os.listdir(headway.data_root / "tmp") == []
    assert rows(df(headway))["Other"]["ReclaimableBytes"] == 0


def test_what_a_process_that_writes_has_in_hand_is_no_litter(tmp_path: Path, registry: Registry) -> None:
    headway = Cli(tmp_path / "root")
    pull(headway, registry, "image:1")
    (headway.data_root / "tmp" / "0123456789abcdef").write_bytes(b"x" * 500_000)

    with WriterLock(headway.data_root / "lock"):
        usage = df(headway)
        promised = headway("prune", "--dry-run")

    assert rows(usage)["Other"]["ReclaimableBytes"] == usage["reclaimable"]["dangling"] == 0
    assert promised.stdout == "Total reclaimable space: 0 B\n"


def test_a_dry_run_changes_nothing_on_the_disk(tmp_path: Path, registry: Registry) -> None:
    headway = Cli(tmp_path / "root")
    pull(headway, registry, "image:1")
    room = reclaimable(headway)
    content = [headway.data_root / name for name in ("trees", "blobs", "tmp")]
    before = {path: path.lstat().st_ctime_ns for part in content for path in part.rglob("*")}

    done = headway("prune", "-a", "--dry-run")

    assert f"deleted: {FIRST.image_id}" in done.stdout
    assert f"Total reclaimable space: {room}\n" in done.stdout
    assert {path: path.lstat().st_ctime_ns for part in content for path in part.rglob("*")} == before
    assert len(headway("images", "-q").stdout.split()) == 1
