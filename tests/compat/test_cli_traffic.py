"""`headway traffic`: what the link counted is what is told."""

from __future__ import annotations

import json
import signal
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.daemon import daemon
from tests.fakes.waiting import wait_until
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.faults.story import RateLimit

IMAGE = images.image([images.noise_layer(900_000, seed=1), images.noise_layer(600_000, seed=2)], tag="1")
SECOND = images.image([images.noise_layer(900_000, seed=1), images.noise_layer(100_000, seed=3)], tag="2")


def traffic(headway: Cli, *words: str) -> dict[str, Any]:
    done = headway("traffic", "--format", "json", *words)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_byte_of_the_link_is_told_by_day_registry_and_image(tmp_path: Path) -> None:
    headway = Cli(tmp_path / "root")
    with Registry([IMAGE, SECOND]) as registry, Link(target=registry.address) as link:
        for tag in "12":
            assert headway("pull", "--dry-run", f"{link.host}/test/image:{tag}").returncode == 0
            assert headway("pull", "-q", f"{link.host}/test/image:{tag}").returncode == 0
        crossed = link.bytes_down
        host = link.host
    found = traffic(headway)
    first, second = found["items"]

    assert (first["registry"], first["image"]) == (host, f"{host}/test/image:1")
    assert second["image"] == f"{host}/test/image:2"
    assert first["day"] == time.strftime("%Y-%m-%d", time.gmtime())
    assert first["useful"] > IMAGE.size
    assert 0 < first["wasted"] < 5_000
    assert second["reused"] == len(SECOND.blobs[SECOND.layers[0]])
    assert found["total"]["received"] == pytest.approx(crossed, rel=0.002)
    assert traffic(headway, "--since", "2099-01-01")["items"] == []
    assert traffic(headway, "--until", "1d")["items"] == []
    assert "900" not in headway("traffic", "--format", "{{.Day}}").stdout
    assert headway("traffic").stdout.splitlines()[-1].startswith("Total")


def test_what_a_pull_has_kept_from_its_own_attempts_is_not_reused(tmp_path: Path) -> None:
    headway = Cli(tmp_path / "root")
    with Registry([IMAGE]) as registry, Link(target=registry.address, faults=[RateLimit(1_000_000)]) as link:
        with headway.start("pull", f"{link.host}/test/image:1") as process:
            wait_until(lambda: link.bytes_down >= 1_000_000)
            process.send_signal(signal.SIGINT)
            process.communicate()
        assert headway("pull", "-q", f"{link.host}/test/image:1").returncode == 0

    (row,) = traffic(headway)["items"]
    assert (row["useful"] > IMAGE.size, row["reused"]) == (True, 0)


@pytest.mark.parametrize("has_daemon", [False, True])
def test_what_a_push_sends_is_told_too(*, has_daemon: bool) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="hw") as place,
        Registry([IMAGE]) as registry,
        Link(target=registry.address) as link,
        daemon(Path(place)) if has_daemon else nullcontext(),
    ):
        headway = Cli(Path(place) / "root")
        name = f"{link.host}/test/copy:1"
        assert headway("pull", "-q", f"{registry.host}/test/image:1").returncode == 0
        assert headway("tag", f"{registry.host}/test/image:1", name).returncode == 0
        before = link.bytes_up
        pushed = headway("push", name)
        crossed = link.bytes_up - before
        assert pushed.returncode == 0, pushed.stderr
        if has_daemon:
            time.sleep(1.5)  # it writes once a second
        found = traffic(headway)
    (row,) = [each for each in found["items"] if each["image"] == name]

    assert (row["registry"], row["useful"], row["reused"]) == (link.host, 0, 0)
    assert IMAGE.size * 0.99 < row["sent"] < crossed
    assert row["sent"] == pytest.approx(crossed, abs=20_000)  # the requests' headers
    assert found["total"]["sent"] == row["sent"]


def test_a_kill_takes_a_second_of_the_sums_at_most(tmp_path: Path) -> None:
    headway = Cli(tmp_path / "root")
    with Registry([IMAGE]) as registry, Link(target=registry.address, faults=[RateLimit(200_000)]) as link:
        with headway.start("pull", f"{link.host}/test/image:1") as process:
            wait_until(lambda: link.bytes_down >= 700_000)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        crossed = link.bytes_down

    assert crossed - 2 * 200_000 - 100_000 < traffic(headway)["total"]["received"] <= crossed
