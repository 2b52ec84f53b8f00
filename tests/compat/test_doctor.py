"""`headway doctor`: each line against a registry that has, or has not, what it is about."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.names import knowing
from tests.fakes.nobody import UID, home_of_nobody
from tests.faults.registry import Registry
from tests.faults.story import CaptivePortal, CutAfter, IgnoreRange, RedirectTo, SayToo, Status
from tests.faults.story import Fault as On
from tests.faults.tls import make_certificate, make_certificate_for_another_time
from tests.faults.volume import volume

IMAGE = images.image([images.noise_layer(400_000)])


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "root")


def levels(cli: Cli, *words: str | Path) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return the status, the level of each check, and the whole document."""
    done = cli("doctor", "--format", "json", *words)
    document = json.loads(done.stdout)
    return done.returncode, {each["check"]: each["level"] for each in document["items"]}, document


def test_without_a_registry_only_this_machine_is_examined(cli: Cli) -> None:
    done = cli("doctor")

    assert done.returncode == 0
    assert done.stdout.startswith("here      OK    disk")
    assert "not run         the way, registry: name a registry or an image\n" in done.stdout
    assert done.stdout.endswith("No problems, no warnings.\n")


@pytest.mark.parametrize("data_root", ["root", "root/not/there/yet"])
def test_a_data_root_that_this_user_cannot_write_fails(data_root: str) -> None:
    with home_of_nobody() as home:
        (home / "root").mkdir(mode=0o555)
        done = Cli(home / data_root, uid=UID)("doctor")

        assert done.returncode == 1
        assert f"here      FAIL  disk     cannot use {home / data_root}: this user cannot write" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_a_data_root_on_a_read_only_file_system_fails(tmp_path: Path) -> None:
    with volume(tmp_path, "tmpfs") as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk.path], check=True)
        done = Cli(disk.root)("doctor")

    assert done.returncode == 1
    assert f"disk     cannot use {disk.root}: its file system is read-only" in done.stdout


def test_a_store_that_a_later_headway_wrote_fails(cli: Cli) -> None:
    cli("rmi", "x")
    with sqlite3.connect(cli.data_root / "headway.db") as database:
        database.execute("PRAGMA user_version = 999")
    database.close()

    done = cli("doctor")

    assert done.returncode == 1
    assert "(schema 999)" in done.stdout


def test_a_good_registry_passes_every_check_at_the_cost_of_some_headers(cli: Cli) -> None:
    with Registry([IMAGE]) as registry:
        status, found, document = levels(cli, f"{registry.host}/test/image")

        assert status == 0
        assert found == {"disk": "OK", "connect": "OK", "login": "OK", "Range": "OK"}
        assert document["received_bytes"] < 5000
        assert registry.sent("blob") <= 2000


def test_a_registry_without_an_image_is_asked_whether_it_answers(cli: Cli) -> None:
    with Registry([IMAGE]) as registry:
        done = cli("doctor", registry.host)

    assert done.returncode == 0
    assert "login    anonymous, the registry answers" in done.stdout
    assert "not run         Range: name an image" in done.stdout


def test_a_login_for_a_part_of_a_registry_is_the_users(cli: Cli, tmp_path: Path) -> None:
    logins = tmp_path / "auth.json"
    with Registry([IMAGE]) as registry:
        entry = {"auth": base64.b64encode(b"me:secret").decode()}
        logins.write_text(json.dumps({"auths": {f"{registry.host}/test": entry}}))
        image = cli("doctor", "--authfile", logins, f"{registry.host}/test/image")
        whole = cli("doctor", "--authfile", logins, registry.host)

    assert "OK    login    your login, pull of " in image.stdout
    assert "OK    login    anonymous, the registry answers" in whole.stdout


def test_the_rate_is_measured_only_when_asked_for(cli: Cli) -> None:
    with Registry([IMAGE]) as registry:
        _, without, plain = levels(cli, f"{registry.host}/test/image")
        _, found, document = levels(cli, "--rate", f"{registry.host}/test/image")

    assert "rate" not in without
    assert plain["not_run"] == [{"check": "rate", "how": "costs 256 kB: add --rate"}]
    assert found["rate"] == "OK"
    assert 256_000 <= document["received_bytes"] < 270_000


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (On(IgnoreRange(), kind="blob"), "Range"),
        (On(Status(401), kind="manifest"), "login"),
        (On(Status(404), kind="manifest"), "login"),
        (On(Status(403), kind="blob"), "content"),
        (On(CutAfter(0)), "connect"),
    ],
    ids=["range ignored", "refused", "no such image", "no blobs", "cut"],
)
def test_what_is_wrong_at_a_registry_fails_by_its_name(cli: Cli, fault: On, check: str) -> None:
    with Registry([IMAGE], faults=[fault]) as registry:
        status, found, document = levels(cli, f"{registry.host}/test/image")

    assert status == 1
    assert found[check] == "FAIL"
    assert document["problems"] == 1


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (
            On(RedirectTo("http://127.0.0.1:1"), kind="blob"),
            "127.0.0.1:1: connection refused. Try: is that the right port",
        ),
        (
            On(RedirectTo("http://127.0.0.1:1"), kind="manifest"),
            "127.0.0.1:1: connection refused. Try: is that the right",
        ),
        (On(CaptivePortal(), kind="manifest"), "Try: log in to the network that is in between"),
        (
            On(Status(403, {}, b'{"errors":[{"code":"DENIED"}]}'), kind="blob"),
            "denied. Try: check that the name is right",
        ),
    ],
    ids=["storage", "elsewhere", "portal", "no blobs"],
)
def test_what_fails_behind_a_registry_is_said_with_what_to_try(cli: Cli, fault: On, says: str) -> None:
    with Registry([IMAGE], faults=[fault]) as registry:
        done = cli("doctor", f"{registry.host}/test/image")

    assert says in done.stdout


@pytest.mark.parametrize(
    ("target", "says"), [("127.0.0.1:1", "connection refused"), ("nowhere.invalid", "its name does not exist")]
)
def test_who_cannot_be_reached_is_said_with_what_to_try(cli: Cli, target: str, says: str) -> None:
    done = cli("doctor", target)

    assert done.returncode == 1
    assert says in done.stdout
    assert ". Try: " in done.stdout


def test_a_quota_that_is_spent_is_a_warning(cli: Cli) -> None:
    said = SayToo({"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "0;w=21600"})
    with Registry([IMAGE], faults=[On(said, kind="manifest")]) as registry:
        status, found, _ = levels(cli, f"{registry.host}/test/image")

    assert (status, found["quota"]) == (0, "WARN")


def test_a_clock_that_is_off_is_a_warning(cli: Cli) -> None:
    with Registry([IMAGE]) as registry:
        registry.date = lambda: 1_600_000_000.0
        status, found, _ = levels(cli, registry.host)

    assert (status, found["clock"]) == (0, "WARN")


def test_a_certificate_of_nobody_known_fails_and_one_of_tomorrow_is_the_clock(cli: Cli, tmp_path: Path) -> None:
    name = "registry.test"
    own = make_certificate(tmp_path, names=f"DNS:{name}")
    tomorrow = make_certificate_for_another_time(tmp_path, name=name, days_from_now=1.0)
    before = knowing(tmp_path, name)
    with Registry([IMAGE], certificate=own) as registry:
        target = f"{name}:{registry.host.partition(':')[2]}"
        stranger = Cli(cli.data_root, before=before)("doctor", target)
        registry.show(tomorrow)
        registry.date = lambda: time.time() + 1.5 * 86_400
        trusting = {"SSL_CERT_FILE": str(tomorrow.certificate)}
        early = Cli(cli.data_root, trusting, before=before)("doctor", target)

    assert (stranger.returncode, early.returncode) == (1, 1)
    assert "its certificate is not trusted" in stranger.stdout
    assert "FAIL  clock" in early.stdout
    assert "Try: timedatectl set-ntp true" in early.stdout
