"""Which tags have moved on at their registry, at the cost of one HEAD each."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.daemon import daemon
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.faults.story import Fault, Status

OLD = images.image([{"version": b"1"}])
NEW = images.image([{"version": b"2"}])
OTHER = images.image([{"other": b"1"}], index=True)


def states(cli: Cli, *names: str) -> tuple[int, dict[str, str]]:
    done = cli("outdated", "--format", "json", *names)
    return done.returncode, {
        row["Reference"].partition("/")[2]: row["State"] for row in json.loads(done.stdout)["items"]
    }


def test_a_tag_that_has_moved_is_told_and_pulled_with_all_that_have(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "root")
    with Registry() as registry:
        registry.add(OLD, "test/moves")
        registry.add(OTHER, "test/stays")
        names = [f"{registry.host}/test/{name}" for name in ("moves", "stays")]
        assert cli("pull", *names).returncode == 0
        before = states(cli)

        registry.add(NEW, "test/moves")
        registry.log.clear()
        after = states(cli)
        asked = [(each.method, each.kind) for each in registry.log]
        connections = registry.connections
        quiet = cli("outdated", "-q")
        table = cli("outdated")
        planned = cli("pull", "--all-outdated", "--dry-run")
        pulled = cli("pull", "--all-outdated")
        in_the_end = states(cli)

    assert before == (0, {"test/moves:latest": "current", "test/stays:latest": "current"})
    assert after == (1, {"test/moves:latest": "outdated", "test/stays:latest": "current"})
    assert asked == [("HEAD", "manifest")] * 2
    assert connections
    assert quiet.stdout == f"{names[0]}:latest\n"
    assert all(len(line) < 80 for line in table.stdout.splitlines())
    assert "test/moves" in planned.stdout
    assert "test/stays" not in planned.stdout
    assert "test/moves:latest" in pulled.stdout
    assert in_the_end == before


@pytest.mark.parametrize("through_daemon", [False, True])
def test_what_could_not_be_asked_about_is_to_be_tried_again_though_the_others_are_brought(
    *, through_daemon: bool
) -> None:
    with tempfile.TemporaryDirectory(prefix="hw") as place, Registry([OLD]) as registry, ExitStack() as stack:
        with Registry([OTHER]) as away:
            running = stack.enter_context(daemon(Path(place))) if through_daemon else None
            cli = Cli(running.data_root if running is not None else Path(place) / "root")
            names = [f"{host}/test/image:latest" for host in (registry.host, away.host)]
            assert cli("pull", *names).returncode == 0
        registry.add(NEW, "test/image")
        planned = cli("pull", "--all-outdated", "--dry-run")
        pulled = cli("pull", "--all-outdated", "-q")

    assert [(done.returncode, f"{names[1]} is left out" in done.stderr) for done in (planned, pulled)] == [
        (75, True)
    ] * 2
    assert pulled.stdout == f"{names[0]}\n"


@pytest.mark.parametrize("through_daemon", [False, True])
def test_asking_for_every_tag_is_part_of_the_plan_and_of_the_budget(*, through_daemon: bool) -> None:
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hw")))
        registry = stack.enter_context(Registry())
        link = stack.enter_context(Link(target=registry.address))
        cli = Cli(stack.enter_context(daemon(place)).data_root if through_daemon else place / "root")
        for number in range(20):
            registry.add(OLD, f"test/n{number}")
        cli("pull", *(f"{link.host}/test/n{number}" for number in range(20)))
        registry.add(NEW, "test/n0")
        planned = cli("pull", "--all-outdated", "--dry-run")
        told = json.loads(cli("pull", "--all-outdated", "--dry-run", "--format", "json").stdout)
        before = link.bytes_down
        pulled = cli("pull", "--all-outdated", "--max-bytes", str(told["total"]["crossing"]))
        crossed = link.bytes_down - before
        none = cli("pull", "--all-outdated", "--max-bytes", "0")

    assert "\nin all\n" in planned.stdout
    assert told["asked"]["requests"] == 21
    assert pulled.returncode == 0, pulled.stderr
    assert told["asked"]["received_bytes"] < crossed <= told["total"]["crossing"]
    assert (none.returncode, none.stdout) == (0, "")


def test_a_daemon_asks_and_brings_them_as_well_named_or_not() -> None:
    with tempfile.TemporaryDirectory(prefix="hw") as place, Registry([OLD]) as registry, daemon(Path(place)) as running:
        held, named = Cli(running.data_root), Cli(Path(), names_root=False, environment={"HEADWAY_HOST": running.host})
        name = f"{registry.host}/test/image"
        assert held("pull", name).returncode == 0
        registry.add(NEW, "test/image")
        here = held("outdated")
        asked = [cli("outdated", *words) for cli in (held, named) for words in ((), (name,))]
        gone = [cli("outdated", f"{registry.host}/test/nothing") for cli in (held, named)]
        planned = named("pull", "--all-outdated", "--dry-run")
        pulled = held("pull", "--all-outdated", "-q")
        in_the_end = states(named)
        bugs = running.bugs

    assert {(done.returncode, done.stdout, done.stderr) for done in asked} == {(1, here.stdout, "")}
    assert "outdated" in here.stdout
    assert gone[0].stderr == gone[1].stderr
    assert name in planned.stdout
    assert (pulled.returncode, pulled.stdout) == (0, f"{name}:latest\n")
    assert in_the_end == (0, {"test/image:latest": "current"})
    assert bugs == []


def test_tags_of_one_registry_are_asked_about_on_one_connection(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "root")
    with Registry() as registry:
        for number in range(20):
            registry.add(OLD, "test/many", tag=f"v{number}")
        assert cli("pull", *(f"{registry.host}/test/many:v{number}" for number in range(20))).returncode == 0
        before = registry.connections
        status, found = states(cli)

        assert (status, set(found.values()), len(found)) == (0, {"current"}, 20)
        assert registry.connections - before == 2  # one of them to see that it does not speak TLS


def test_what_only_the_registry_or_only_this_machine_knows_is_said(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "root")
    with Registry([OLD]) as registry:
        name = f"{registry.host}/test/image"
        assert cli("pull", name).returncode == 0
        assert cli("tag", name, f"{registry.host}/test/mine").returncode == 0
        status, found = states(cli)
        unknown = cli("outdated", f"{registry.host}/test/nothing")

    assert (status, found) == (1, {"test/image:latest": "current", "test/mine:latest": "gone"})
    assert unknown.returncode == 1
    assert "test/nothing" in unknown.stderr


def test_a_registry_that_cannot_be_asked_is_named_and_the_status_says_try_again(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "root")
    with Registry([OLD]) as registry:
        assert cli("pull", f"{registry.host}/test/image").returncode == 0
    done = cli("outdated")

    assert done.returncode == 75
    assert "unknown" in done.stdout
    assert "headway: " in done.stderr


def test_a_registry_that_wants_to_be_left_alone_is_asked_about_one_tag_and_told_once(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "root")
    busy = Fault(Status(429, {"Retry-After": "1"}), kind="manifest", method="HEAD", nth=range(6, 99))
    with Registry(faults=[busy]) as registry:
        for number in range(5):
            registry.add(OLD, "test/many", tag=f"v{number}")
        assert cli("pull", *(f"{registry.host}/test/many:v{number}" for number in range(5))).returncode == 0
        registry.log.clear()
        done = cli("outdated")

    assert (done.returncode, done.stdout.count("unknown")) == (75, 5)
    assert len(registry.log) == 2  # the attempts for one of them
    assert done.stderr.count("headway: ") == 1
