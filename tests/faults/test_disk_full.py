"""Pulls onto a disk that is too small, fills up, and gets room again: what is kept, and what the user reads."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path

import pytest

from headway.errors import StoreFullError
from headway.service.transfers.progress import LayerProgress, Notice, PullEvent
from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.daemon import daemon
from tests.faults.pull import Outcome, bytes_kept, images_listed, litter, pull
from tests.faults.registry import Registry
from tests.faults.volume import MIB, Volume, volume

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems")

TEXT = {f"usr/share/doc/{number}": b"the same words again %d\n" % number * 2000 for number in range(60)}
IMAGE = images.image([TEXT, images.noise_layer(600_000, seed=1), {"usr/share/doc/0": b"over it\n"}])
IN_FLIGHT = 256 * 1024
STEP = 192 * 1024


@pytest.fixture(params=["tmpfs", "ext4"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Volume]:
    with volume(tmp_path, request.param) as mounted:
        yield mounted


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry([IMAGE]) as registry:
        yield registry


def layer_bytes(registry: Registry) -> int:
    return sum(line.sent for line in registry.requests("blob") if line.reply.digest in IMAGE.layers)


def attempt(registry: Registry, disk: Volume) -> Outcome:
    """Pull; a store that cannot even be opened is an outcome like others."""
    try:
        return pull(f"{registry.host}/test/image", disk.root)
    except StoreFullError as error:
        return Outcome(error=error)


def complete(outcome: Outcome, root: Path) -> None:
    assert outcome.error is None, outcome.said
    assert images_listed(root) == [IMAGE.image_id]
    assert litter(root) == []


def test_an_image_that_cannot_fit_is_refused_before_a_byte_of_it_is_fetched(registry: Registry, disk: Volume) -> None:
    disk.leave(900_000)

    outcome = attempt(registry, disk)

    assert outcome.status == 73
    assert layer_bytes(registry) == 0
    cause, *rest = outcome.said.splitlines()
    assert f"bytes have to be free ({IMAGE.size:,} to fetch)" in cause
    assert str(disk.root) in cause
    assert rest[-1].startswith("next: make room")
    disk.leave(20 * MIB)
    complete(attempt(registry, disk), disk.root)


def test_an_image_that_may_not_fit_is_told_of_and_tried(registry: Registry, disk: Volume) -> None:
    registry.add(images.image([TEXT, images.noise_layer(1_000_000, seed=2)], tag="first"))
    registry.add(images.image([images.noise_layer(1_000_000, seed=3)], tag="other"))
    pull(f"{registry.host}/test/image:first", disk.root)
    disk.leave(3 * MIB)

    outcome = pull(f"{registry.host}/test/image:other", disk.root)

    assert outcome.error is None, outcome.said
    (notice,) = (event.text for event in outcome.events if isinstance(event, Notice))
    assert "will probably be too small" in notice
    assert "as the 2 layers here" in notice


def test_with_a_little_more_room_each_time_the_same_pull_gets_through(registry: Registry, disk: Volume) -> None:
    pull(f"{registry.host}/test/image", disk.path / "warm")  # nothing of it is shared
    registry.log.clear()
    kept = rounds = 0
    outcome = Outcome()
    for room in range(0, 20 * MIB, STEP):
        disk.leave(room)
        outcome = attempt(registry, disk)
        rounds += 1
        if outcome.done is not None:
            break
        assert outcome.status == 73, outcome.said
        assert "no space left" in outcome.said or "no room" in outcome.said
        assert "\nnext: make room" in outcome.said
        assert images_listed(disk.root) == []
        now = bytes_kept(disk.root)
        whole = sum(1 for path in (disk.root / "trees").glob("*")) if (disk.root / "trees").exists() else 0
        assert now >= kept or whole, f"{kept - now} bytes lost with {room} bytes of room"
        kept = now

    complete(outcome, disk.root)
    assert rounds > 4
    assert layer_bytes(registry) <= IMAGE.size + rounds * IN_FLIGHT


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_disk_that_fills_up_while_bytes_arrive_keeps_them(registry: Registry, disk: Volume, share: float) -> None:
    noise = images.image([images.noise_layer(4_000_000, seed=5)], tag="noise")
    registry.add(noise)
    name = f"{registry.host}/test/image:noise"

    def fill(event: PullEvent) -> bool:
        if isinstance(event, LayerProgress) and event.held >= share * event.size:
            disk.leave(0)
        return False

    full = pull(name, disk.root, stop=fill)
    kept = bytes_kept(disk.root)
    sent = registry.sent("blob")
    disk.leave(16 * MIB)
    again = pull(name, disk.root)

    assert full.status == 73, full.said
    assert again.error is None, again.said
    assert registry.sent("blob") - sent <= noise.size - kept + len(noise.blobs[noise.image_id]) + IN_FLIGHT
    assert litter(disk.root) == []


def fill(disk: Volume) -> None:
    """Take every block there is."""
    disk.leave(0)
    with suppress(OSError):
        for number in count():
            (disk.path / f"filler-{number}").write_bytes(b"x")


def test_a_disk_that_has_no_room_for_another_name_is_freed(registry: Registry, tmp_path: Path) -> None:
    registry.add(images.image([{f"usr/{number}": b"x" * 5_000} for number in range(20)]), repository="test/many")
    name = f"{registry.host}/test/many"
    with volume(tmp_path, "xfs", 310 * MIB) as disk:  # which it does not make smaller, and wants room for a rename
        cli = Cli(disk.root)
        assert cli("pull", name).returncode == 0
        fill(disk)

        pruned = cli("prune", "-a", "-f")

        assert pruned.returncode == 0, pruned.stderr
        assert [os.listdir(disk.root / place) for place in ("trees", "recipes", "blobs/sha256", "tmp")] == [[]] * 4


@pytest.mark.parametrize("through_daemon", [False, True], ids=["alone", "through a daemon"])
@pytest.mark.parametrize("words", [("rmi",), ("prune", "-a", "-f")], ids=" ".join)
def test_what_frees_a_full_disk_can_do_so_whatever_was_tried_before(
    registry: Registry, words: tuple[str, ...], *, through_daemon: bool
) -> None:
    many = images.image([images.noise_layer(200_000, seed=seed) for seed in range(40)], tag="many")
    registry.add(many)
    here, other = (f"{registry.host}/test/image:{tag}" for tag in ("latest", "many"))
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="hw"))  # short: a socket lies there
        disk = stack.enter_context(volume(Path(place), "ext4", 64 * MIB))
        if through_daemon:
            stack.enter_context(daemon(disk.path))
        cli = Cli(disk.root)
        assert cli("pull", here).returncode == 0
        fill(disk)

        tried = cli("pull", other), cli("tag", here, "another:1"), cli("pull", other)
        freed = cli(*words, *([here] if words == ("rmi",) else []))

        assert {done.returncode for done in tried} == {73}
        assert freed.returncode == 0, freed.stderr
        assert cli("images", "-q").stdout == ""


@pytest.mark.parametrize("through_daemon", [False, True], ids=["alone", "through a daemon"])
def test_a_container_that_has_filled_the_disk_is_unmounted_and_removed(
    registry: Registry, *, through_daemon: bool
) -> None:
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="hw"))
        disk = stack.enter_context(volume(Path(place), "ext4", 64 * MIB))
        if through_daemon:
            stack.enter_context(daemon(disk.path))
        cli = Cli(disk.root)
        assert cli("pull", f"{registry.host}/test/image").returncode == 0
        cli("mount", "--read-write", f"{registry.host}/test/image")
        where, container = cli("mount", "--format", "{{.Target}} {{.Container}}").stdout.split()
        Volume(Path(where)).leave(0)
        fill(disk)

        unmounted, removed = cli("umount", container), cli("umount", "--rm", container)

        assert (unmounted.returncode, removed.returncode) == (0, 0), unmounted.stderr + removed.stderr
        assert disk.free() > 16 * MIB


def test_on_a_disk_without_a_single_free_block_images_are_listed_and_removed(registry: Registry, disk: Volume) -> None:
    name = f"{registry.host}/test/image"
    cli = Cli(disk.root)
    pulled = cli("pull", name)
    fill(disk)

    listed, pulled_again, removed = cli("images", "-q"), cli("pull", f"{name}:other"), cli("rmi", name)

    assert pulled.returncode == 0
    assert (listed.returncode, listed.stdout.strip()) == (0, IMAGE.image_id.removeprefix("sha256:")[:12])
    assert pulled_again.returncode in (1, 73)
    assert "Traceback" not in pulled_again.stderr
    assert removed.returncode == 0, removed.stderr
    assert disk.free() > 2 * MIB
    assert cli("images", "-q").stdout == ""
    disk.leave(16 * MIB)
    assert cli("pull", name).returncode == 0
