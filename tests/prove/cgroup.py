"""The largest image on the smallest machine: what a pull takes where the kernel gives it 128 MB."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import sampling
from tests.fakes.cli import Cli
from tests.fakes.daemon import daemon
from tests.fakes.images import Image
from tests.fakes.tiled import tiled_image
from tests.faults.registry import Registry
from tests.prove.limited import Limited, limited
from tests.prove.peaks import peaks_of
from tests.prove.scene import left_over, run, short_place, started
from tests.prove.sheet import Sheet, check

MB, GIB = 1_000_000, 1 << 30
CAP = 128 * MB
ONE_SHOT_MB, IDLE_MB, PULLING_MB, CLIENT_MB = 64.0, 45.0, 80.0, 35.0
SIZE_GIB, LAYERS = 8.0, 2
SECONDS = 7_200.0
SETTLE_SECONDS = 1.0


@check(
    "cgroup",
    "Under a control group of 128 MB a pull of 8 GiB completes: <= 64 MB resident in one shot; <= 80 MB in a daemon, "
    "which holds <= 45 MB when idle, and <= 35 MB in its client.",
    needs_root=True,
)
def cgroup(sheet: Sheet) -> None:
    """Pull without a daemon, then with one; CGROUP_GIB is another size than 8."""
    size = int(float(sheet.setting("CGROUP_GIB") or SIZE_GIB) * GIB)
    image = tiled_image([size // LAYERS] * LAYERS, seed=sheet.seed)
    sheet.tell("image", f"{image.size:,} bytes of gzip in {LAYERS} layers")
    with Registry([image]) as registry:
        name = f"{registry.host}/test/image"
        _one_shot(sheet, image, name)
        _in_a_daemon(sheet, image, name)


def _one_shot(sheet: Sheet, image: Image, name: str) -> None:
    with _capped(sheet, "one shot") as group:
        cli = Cli(sheet.place / "root", before=group.members.enter([]))
        with sampling(group.members) as peak:
            said = run(cli, "pull", "--progress", "none", name, seconds=SECONDS)
        sheet.right("one shot: completes", said.problem)
        sheet.tell("one shot: took", f"{said.seconds:.0f} s, {image.size / said.seconds / MB:.0f} MB/s")
        sheet.at_most("one shot: resident, all processes", peak[0] / MB, ONE_SHOT_MB, "MB", decimals=1)
    _is_whole(sheet, "one shot", cli.data_root, image)


def _in_a_daemon(sheet: Sheet, image: Image, name: str) -> None:
    with (
        short_place() as place,
        _capped(sheet, "daemon") as group,
    ):
        with daemon(place, before=group.members.enter([])) as running:
            time.sleep(SETTLE_SECONDS)
            sheet.at_most("daemon: resident, idle", group.members.rss_bytes() / MB, IDLE_MB, "MB", decimals=1)
            with (
                sampling(group.members) as peak,
                started(Cli(running.data_root), "pull", "--progress", "none", name) as client,
                peaks_of(client.pid) as client_peaks,
            ):
                sheet.right("daemon: the pull completes", _end(client))
            sheet.at_most("daemon: resident, pulling, all processes", peak[0] / MB, PULLING_MB, "MB", decimals=1)
            sheet.at_most("daemon: its client, resident", client_peaks.memory / MB, CLIENT_MB, "MB", decimals=1)
            sheet.right("daemon: no bug in its log", "; ".join(running.bugs[:3]))
        _is_whole(sheet, "daemon", running.data_root, image)


@contextmanager
def _capped(sheet: Sheet, who: str) -> Iterator[Limited]:
    """Give a group, and take down at its end what the kernel says of it."""
    with limited(CAP) as group:
        yield group
        sheet.tell(f"{who}: charged at most, page cache included", f"{group.charged / MB:.1f} MB of {CAP / MB:.0f}")
        sheet.at_most(f"{who}: killed for want of memory", group.killed, 0, decimals=0)
        sheet.tell(f"{who}: control groups", f"version {group.version}")


def _end(client: subprocess.Popen[str]) -> str:
    """Wait for a client; return what is wrong with how it ended."""
    _, stderr = client.communicate(timeout=SECONDS)
    return "" if client.returncode == 0 else f"status {client.returncode}: {stderr}"


def _is_whole(sheet: Sheet, who: str, root: Path, image: Image) -> None:
    """A full check reads every byte of it."""
    cli = Cli(root)
    said = run(cli, "check", "--full", seconds=SECONDS)
    listed = run(cli, "images", "-q", "--no-trunc").stdout.split()
    sheet.right(f"{who}: a full check is clean", said.problem)
    sheet.right(f"{who}: the image is here", "" if listed == [image.image_id] else f"listed: {listed}")
    sheet.right(f"{who}: nothing is left over", left_over(root))
    run(cli, "prune", "-f", "--all")
