"""`headway push` as a command: alone, and where a daemon holds the store."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.daemon import Daemon, daemon
from tests.fakes.waiting import wait_until
from tests.faults.auth import Basic
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.faults.story import Fault as On
from tests.faults.story import SilentUploadAfter, Status

IMAGE = images.image([images.noise_layer(3_000_000, seed=1), {"small": b"small"}])
USER, PASSWORD = "me", "correct-horse-battery"


@pytest.fixture
def source() -> Iterator[Registry]:
    with Registry([IMAGE]) as registry:
        yield registry


@pytest.fixture
def headway(source: Registry, tmp_path: Path) -> Cli:
    """The command, with the image pulled as ``probe``."""
    cli = Cli(tmp_path / "root", {"HOME": str(tmp_path)})
    assert cli("pull", f"{source.host}/test/image").returncode == 0
    assert cli("tag", f"{source.host}/test/image", "probe").returncode == 0
    return cli


@pytest.fixture
def running(source: Registry, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon with the same."""
    with daemon(tmp_path / "d") as running:
        cli = Cli(running.data_root)
        assert cli("pull", f"{source.host}/test/image").returncode == 0
        assert cli("tag", f"{source.host}/test/image", "probe").returncode == 0
        yield running
        assert running.bugs == []


def test_the_last_line_is_dockers_and_the_receipt_says_what_it_cost(headway: Cli) -> None:
    with Registry() as registry:
        name = f"{registry.host}/team/probe:1"
        headway("tag", "probe", name)
        done = headway("push", name)
        again = headway("push", "-q", name)
        digests = json.loads(headway("inspect", name).stdout)[0]["RepoDigests"]

    tag, _, digest, _, size = done.stdout.split()
    assert (done.returncode, tag, size.isdecimal()) == (0, "1:", True)
    assert f"{registry.host}/team/probe@{digest}" in digests
    assert "pushed" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("needed 3.0")
    assert (again.stdout, again.stderr) == (f"{name}\n", "")


def test_every_tag_of_a_repository_goes_and_no_other(headway: Cli) -> None:
    with Registry() as registry:
        for tag in ("b", "a"):
            headway("tag", "probe", f"{registry.host}/team/probe:{tag}")
        done = headway("push", "-a", f"{registry.host}/team/probe")
        none = headway("push", "-a", f"{registry.host}/team/none")

    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["a", "b"]
    assert none.returncode == 1
    assert "An image does not exist locally with the tag" in none.stderr


@pytest.mark.parametrize("where", ["headway", "running"])
def test_of_several_tags_those_are_told_that_were_pushed_before_one_failed(
    where: str, request: pytest.FixtureRequest
) -> None:
    there = request.getfixturevalue(where)
    headway = Cli(there.data_root) if isinstance(there, Daemon) else there
    refused = On(Status(400), kind="manifest", method="PUT", nth=2)
    with Registry(faults=[refused]) as registry:
        for tag in ("c", "b", "a"):
            headway("tag", "probe", f"{registry.host}/team/some:{tag}")
        done = headway("push", "-a", f"{registry.host}/team/some")

    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["a"]
    assert done.returncode == 1
    assert f"{registry.host}/team/some:b not pushed" in done.stderr


def test_a_tag_is_pushed_as_what_it_was_pulled_as(headway: Cli) -> None:
    """One image has the digests of a manifest, and of an index over it."""
    index = images.image([{"hello": b"hello\n"}], tag="index", index=True, platforms=("linux/amd64",))
    manifest = json.loads(index.blobs[index.manifest_digest])["manifests"][0]["digest"]
    with Registry([index]) as registry:
        registry.move_tag("test/image", "manifest", manifest)
        names = [f"{registry.host}/test/image:{tag}" for tag in ("index", "manifest")]
        headway("pull", "--platform", "linux/amd64", *names)
        pushed = [headway("push", name).stdout.split()[2] for name in names]

    assert pushed == [index.manifest_digest, manifest]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["push", f"x@{IMAGE.manifest_digest}"], "cannot push a digest reference"),
        (["push", "-a", "x:1"], "tag can't be used with --all-tags/-a"),
    ],
)
def test_what_cannot_be_pushed_is_a_mistake_of_the_user(tmp_path: Path, words: list[str], says: str) -> None:
    done = Cli(tmp_path / "root")(*words)

    assert (done.returncode, says in done.stderr) == (2, True)


def test_ctrl_c_ends_a_push_that_waits_for_a_silent_link(headway: Cli) -> None:
    with Registry() as registry, Link(target=registry.address, faults=[SilentUploadAfter(1_000_000)]) as link:
        name = f"{link.host}/team/probe:1"
        headway("tag", "probe", name)
        process = headway.start("push", name)
        wait_until(lambda: link.silences)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, stderr = process.communicate(timeout=20)

    assert process.returncode == 130
    assert time.monotonic() - began < 6
    assert "stopped; the same command goes on" in stderr


def test_a_daemon_pushes_with_the_login_of_whoever_asks(running: Daemon, tmp_path: Path) -> None:
    with Registry(auth=Basic(USER, PASSWORD)) as registry:
        config = tmp_path / "user" / ".docker" / "config.json"
        config.parent.mkdir(parents=True)
        config.write_text(json.dumps({"auths": {registry.host: {"username": USER, "password": PASSWORD}}}))
        name = f"{registry.host}/team/probe:1"
        stranger, user = Cli(running.data_root), Cli(running.data_root, {"HOME": str(tmp_path / "user")})
        stranger("tag", "probe", name)
        refused = stranger("push", name)
        done = user("push", name)

    assert (refused.returncode, done.returncode) == (77, 0), done.stderr
    assert "no basic auth credentials" in refused.stderr
    assert done.stdout.startswith("1: digest: sha256:")
    assert "pushed" in done.stderr
    assert PASSWORD not in running.log.read_text()
