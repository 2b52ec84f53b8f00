"""`headway pull` and `headway pulls` with a daemon, as users meet them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.daemon import Daemon, daemon
from tests.fakes.waiting import wait_until
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.faults.story import RateLimit
from tests.prove.scene import IN_FLIGHT

MB = 1_000_000
SMALL = images.image([{"hello": b"hello\n"}], tag="1")
LARGE_BYTES = 3 * MB
SLOW = MB // 10
SOME = MB // 20
"""Bytes that come within a second of a slow link."""
NAMES = (
    "planned",
    "limited",
    "asking",
    "beside",
    "left",
    "killed",
    "detached",
    "changed",
    "displaced",
    "restarted",
    "needed",
)
LARGE = [images.image([images.noise_layer(LARGE_BYTES, seed=seed)], tag=tag) for seed, tag in enumerate(NAMES)]


@dataclass(frozen=True)
class Scene:
    """A daemon, and a registry behind a link.

    Attributes:
        cli: The command, on the daemon's store.
        running: The daemon.
        link: The link, as fast as this machine.
        repository: Name of the repository, which has a small image as ``:1`` and large ones by `NAMES`.
    """

    cli: Cli
    running: Daemon
    link: Link
    repository: str

    @property
    def small(self) -> str:
        return f"{self.repository}:1"

    def large(self, tag: str) -> str:
        return f"{self.repository}:{tag}"

    @contextmanager
    def slow(self) -> Iterator[None]:
        """Make the link so slow that no large image comes to its end while the block runs."""
        self.link.faults = (RateLimit(SLOW),)
        try:
            yield
        finally:
            self.link.faults = ()

    @contextmanager
    def link_down(self) -> Iterator[None]:
        """Let nobody reach the registry while the block runs."""
        self.link.down("refuse")
        try:
            yield
        finally:
            self.link.up()

    def pull(self, name: str) -> dict[str, object]:
        """What the command lists of the pull of an image."""
        items = json.loads(self.cli("pulls", "-a", "--format", "json").stdout)["items"]
        (found,) = [item for item in items if item["Image"] == name]
        return found  # type: ignore[no-any-return]  # from JSON

    def has(self, name: str, state: str) -> bool:
        """Whether the pull of an image is in a state."""
        return self.pull(name)["State"] == state


@contextmanager
def opened() -> Iterator[Scene]:
    with (
        tempfile.TemporaryDirectory(prefix="hw") as place,  # short: a socket lies there
        Registry([SMALL, *LARGE]) as registry,
        Link(target=registry.address) as link,
        daemon(Path(place)) as running,
    ):
        yield Scene(Cli(running.data_root), running, link, f"{link.host}/test/image")


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with opened() as scene:
        yield scene


def masked(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, re.sub(r"\d+\.\d+ s|\d+ ms|received \S+ \S+ \(\d\.\d+\)", "N", done.stderr)


def test_a_pull_shows_the_same_with_a_daemon_and_without(scene: Scene, tmp_path: Path) -> None:
    alone = Cli(tmp_path / "root")

    for words in (("pull", scene.small), ("pull", scene.small), ("pull", "-q", scene.small)):
        assert masked(scene.cli(*words)) == masked(alone(*words))
    missing = ("pull", scene.large("nope"), scene.small, "--platform", "linux/s390x")
    for failing in (missing, ("pull", "-a", scene.repository)):
        held, here = scene.cli(*failing), alone(*failing)
        assert (masked(held), held.returncode) == (masked(here), 1)


def test_a_mirror_for_docker_hub_is_asked_for_nothing_else_with_a_daemon_and_without(
    scene: Scene, tmp_path: Path
) -> None:
    with Registry([SMALL]) as mirror:
        words = ("pull", "-q", "--registry-mirror", f"http://{mirror.host}", scene.small)
        done = [cli(*words) for cli in (scene.cli, Cli(tmp_path / "root"))]

        assert [each.returncode for each in done] == [0, 0]
        assert mirror.log == []


def test_a_dry_run_says_the_same_with_a_daemon_and_without(scene: Scene, tmp_path: Path) -> None:
    alone, words = Cli(tmp_path / "root"), ("pull", "--dry-run", "--format", "json", scene.large("planned"))
    held, here = scene.cli(*words), alone(*words)
    failing = ("pull", "--dry-run", scene.large("nope"))
    plans = [json.loads(done.stdout) for done in (held, here)]
    for plan in plans:
        del plan["items"][0]["free_bytes"]

    assert (held.returncode, held.stderr) == (0, "")
    assert plans[0]["items"] == plans[1]["items"]
    assert plans[0]["total"]["to_fetch"] >= LARGE_BYTES
    assert plans[0]["asked"]["requests"] >= 1
    assert scene.cli(*failing).stderr == alone(*failing).stderr


def test_how_pulls_ended_is_told_as_json_with_a_daemon_and_without(scene: Scene, tmp_path: Path) -> None:
    alone, words = Cli(tmp_path / "root"), ("pull", "--format", "json", scene.small, scene.large("nope"))
    scene.cli("pull", "-q", scene.small)
    alone("pull", "-q", scene.small)
    held, here = scene.cli(*words), alone(*words)
    documents = [json.loads(done.stdout) for done in (held, here)]
    for document in documents:
        del document["items"][0]["receipt"]["seconds"]
        del document["items"][0]["receipt"]["received"]

    assert (held.returncode, held.stderr.count("not complete")) == (1, 1)
    assert documents[0] == documents[1]
    assert documents[0]["schema"] == 1
    complete, missing = documents[0]["items"]
    assert complete["is_complete"]
    assert complete["image_id"] == SMALL.image_id
    assert complete["digest"] == SMALL.manifest_digest
    assert complete["receipt"]["retries"] == {}
    assert (missing["is_complete"], missing["status"], missing["kept"]) == (False, 1, 0)
    assert missing["reference"] == scene.large("nope")


def test_what_is_refused_together_is_told_of_the_one_that_is_at_fault(scene: Scene, tmp_path: Path) -> None:
    alone, words = Cli(tmp_path / "root"), ("pull", "--max-bytes=9M", "--format", "json", scene.small)
    documents = [json.loads(cli(*words, scene.large("nope")).stdout) for cli in (scene.cli, alone)]

    assert documents[0] == documents[1]
    assert [each["reference"] for each in documents[0]["items"]] == [scene.large("nope")]


def test_ctrl_c_pauses_the_pull_and_the_same_command_goes_on_from_there(scene: Scene) -> None:
    before, name = scene.link.bytes_down, scene.large("left")
    with scene.slow():
        process = scene.cli.start("pull", name)
        wait_until(lambda: scene.link.bytes_down > before + SOME)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        wait_until(lambda: scene.has(name, "paused"))
    paused = scene.pull(name)
    again = scene.cli("pull", name)

    assert process.returncode == 130
    assert re.search(r"headway: stopped; [\d.]+ [kM]B of 3.00 MB kept; the same command goes on from there", said)
    assert paused["Reason"] == "client left"
    assert again.returncode == 0
    assert "kept from before" in again.stderr
    assert scene.pull(name)["ID"] == paused["ID"]
    assert scene.link.bytes_down - before < LARGE_BYTES + IN_FLIGHT


def test_a_client_that_is_killed_has_left_as_well(scene: Scene) -> None:
    before, name = scene.link.bytes_down, scene.large("killed")
    with scene.slow():
        process = scene.cli.start("pull", name)
        wait_until(lambda: scene.link.bytes_down > before + SOME)
        process.kill()
        process.communicate()

        wait_until(lambda: scene.has(name, "paused"))


def test_a_detached_pull_tells_its_id_and_comes_to_its_end_by_itself(scene: Scene) -> None:
    name = scene.large("detached")
    told = scene.cli("pull", "--detach", name)
    started = scene.pull(name)
    wait_until(lambda: scene.has(name, "complete"))
    shown = json.loads(scene.cli("pulls", "show", told.stdout.strip()).stdout)

    assert (told.returncode, told.stdout) == (0, f"{started['ID']}\n")
    assert "goes on by itself; headway pulls shows it" in told.stderr
    receipt = shown["Receipt"]
    assert receipt["needed"] >= LARGE_BYTES
    assert 0 < receipt["wasted"] < 3_000
    assert receipt["sources"] == {scene.link.host: receipt["received"]}
    assert receipt["received"] == receipt["needed"] + receipt["wasted"]


def test_what_a_running_pull_has_brought_is_promised_to_nobody(scene: Scene) -> None:
    start, name = scene.link.bytes_down, scene.large("needed")
    prune = ("prune", "--unfinished", "--dry-run")
    before = scene.cli(*prune).stdout, unfinished(scene)
    with scene.slow():
        pull_id = scene.cli("pull", "--detach", name).stdout.strip()
        wait_until(lambda: scene.link.bytes_down > start + SOME)
        running = scene.cli(*prune).stdout, unfinished(scene)
        scene.cli("pulls", "pause", pull_id)
        paused = scene.cli(*prune).stdout, unfinished(scene)
    scene.cli("pulls", "cancel", pull_id)

    assert running[0] == before[0] != paused[0]
    assert (running[1]["Active"], paused[1]["Active"]) == (1, 0)
    assert running[1]["TotalCount"] == paused[1]["TotalCount"] == before[1]["TotalCount"] + 1
    assert running[1]["ReclaimableBytes"] == before[1]["ReclaimableBytes"]
    assert paused[1]["ReclaimableBytes"] == paused[1]["Bytes"] > before[1]["Bytes"] + SOME


def unfinished(scene: Scene) -> dict[str, Any]:
    """The line of ``df`` about unfinished downloads, as whoever holds the store says it."""
    rows = json.loads(scene.cli("df", "--format", "json").stdout)["items"]
    (found,) = [row for row in rows if row["Type"] == "Unfinished downloads"]
    return found  # type: ignore[no-any-return]  # from JSON


def test_what_takes_up_how_much_is_read_where_the_daemon_that_holds_the_store_does_not_answer(scene: Scene) -> None:
    scene.running.socket.rename(away := scene.running.socket.with_name("away"))
    try:
        held = scene.cli("df")
        named = scene.cli("-H", scene.running.host, "df")
    finally:
        away.rename(scene.running.socket)

    assert (held.returncode, held.stderr) == (0, "")
    assert (named.returncode, "no daemon at" in named.stderr) == (1, True)


def test_pulls_are_paused_resumed_and_cancelled_by_the_beginning_of_their_ids(scene: Scene) -> None:
    name = scene.large("changed")
    states = []
    with scene.slow():
        pull_id = scene.cli("pull", "--detach", name).stdout.strip()
        for action in ("pause", "resume", "cancel", "resume"):
            assert scene.cli("pulls", action, pull_id[:8]).stdout == f"{pull_id}\n"
            states.append(scene.pull(name)["State"])
    wait_until(lambda: scene.has(name, "complete"))
    refused = scene.cli("pulls", "pause", pull_id)

    assert states == ["paused", "running", "cancelled", "running"]
    assert refused.returncode == 1
    assert f"pull {pull_id} is complete, and cannot be paused" in refused.stderr


def test_a_higher_priority_goes_first(scene: Scene) -> None:
    name = scene.large("displaced")
    with scene.slow():
        large = scene.cli("pull", "--detach", name).stdout.strip()
        lowered = scene.cli("pulls", "priority", large, "low")
        small = scene.cli("pull", scene.small)
    wait_until(lambda: scene.has(name, "complete"))
    log = scene.running.log.read_text()

    assert (lowered.stdout, small.returncode) == (f"{large}\n", 0)
    assert scene.pull(name)["Priority"] == -10
    assert f"pull {large} ({name}) is queued: another one goes first" in log


def test_a_pull_has_limits_of_its_own(scene: Scene, tmp_path: Path) -> None:
    name, before = scene.large("limited"), scene.link.bytes_down
    alone = Cli(tmp_path / "root")
    held, here = (cli("pull", "--max-bytes", "1M", scene.small, name) for cli in (scene.cli, alone))
    refused_at, began = scene.link.bytes_down, time.monotonic()
    pull_id = scene.cli("pull", "--detach", "--limit-rate", "2M", "--max-bytes", "3100k", name).stdout.strip()
    fast = scene.cli("pull", scene.large("beside"))
    wait_until(lambda: scene.has(name, "complete"))
    seconds = time.monotonic() - began
    with scene.link_down():
        dead = scene.cli("pull", "--max-download-attempts=2", scene.large("planned"))

    assert (held.returncode, here.returncode) == (76, 76)
    assert held.stderr.partition("over budget: ")[2][:4] == here.stderr.partition("over budget: ")[2][:4] == "3,00"
    assert refused_at - before < SOME
    assert (fast.returncode, dead.returncode) == (0, 75)
    assert seconds > LARGE_BYTES / (2 * MB) - 0.5
    assert json.loads(scene.cli("pulls", "show", pull_id).stdout)["Receipt"]["received"] < 3_100_000


def test_what_others_receive_meanwhile_is_no_part_of_what_a_plan_has_cost(scene: Scene) -> None:
    name = scene.large("asking")
    with scene.slow():
        pull_id = scene.cli("pull", "--detach", name).stdout.strip()
        wait_until(lambda: scene.link.bytes_down > SOME)
        asked = [json.loads(scene.cli("pull", "--dry-run", "--format=json", scene.small).stdout)["asked"] for _ in "12"]
    scene.cli("pulls", "cancel", pull_id)

    assert asked[1]["requests"] == 1
    assert asked[1]["received_bytes"] < 1000


def test_a_daemon_believes_nobody_who_says_what_a_tag_stands_for(scene: Scene) -> None:
    other = LARGE[0].manifest_digest
    wish = json.dumps({"reference": scene.small, "digest": other, "max_bytes": 9 * MB}).encode()
    told = scene.running.ask("POST", "/headway/pulls", body=wish)

    assert told.status == 200
    assert SMALL.manifest_digest in told.body.decode()
    assert other not in told.body.decode()


def test_a_pull_and_its_state_survive_the_daemon() -> None:
    with opened() as scene:
        name = scene.large("restarted")
        with scene.slow():
            pull_id = scene.cli("pull", "--detach", name).stdout.strip()
            wait_until(lambda: scene.link.bytes_down > SOME)
            scene.running.process.kill()
            scene.running.process.wait()
        recorded = scene.pull(name)
        refused = scene.cli("pulls", "pause", pull_id)
        with daemon(scene.running.data_root.parent):
            wait_until(lambda: scene.has(name, "complete"))
            ended = scene.pull(name)

        assert (recorded["ID"], recorded["State"]) == (pull_id, "queued")
        assert recorded["Reason"] == "what brought it has ended"
        assert "headway: no daemon at" in refused.stderr
        assert ended["ID"] == pull_id
        assert scene.link.bytes_down < LARGE_BYTES + 2 * IN_FLIGHT


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("pulls", "pause"), "name a pull: headway pulls pause ID"),
        (("pulls", "show", "nope"), "no such pull: nope"),
        (("pulls", "priority", "0", "soon"), "invalid priority 'soon': write low, normal, high or a number"),
        (("pull", "--max-download-attempts=0", "a"), "invalid max download attempts: 0"),
        (("pull", "--all-tags", "--max-bytes=1M", "a"), "--max-bytes through a daemon is for tags that are named"),
        (("pull", "--detach", "--max-bytes=1M", "a", "b"), "--max-bytes with --detach is for one image: name them one"),
        (("pull", "--unfinished-max-age=1h", "a"), "--unfinished-max-age is about every unfinished download"),
        (("pull", "--priority", "soon", "a"), "invalid priority 'soon'"),
        (("pull", "--detach", "--format", "json", "a"), "--format json tells how pulls end: --detach does not wait"),
    ],
)
def test_what_cannot_be_is_said(scene: Scene, words: tuple[str, ...], said: str) -> None:
    done = scene.cli(*words)

    assert done.returncode in (1, 2)
    assert f"headway: {said}" in done.stderr


def test_pulls_of_commands_are_kept_with_what_they_have_cost(tmp_path: Path) -> None:
    large = images.image([images.noise_layer(LARGE_BYTES, seed=1)], tag="large")
    with Registry([SMALL, large]) as registry, Link(target=registry.address, faults=(RateLimit(10 * SLOW),)) as link:
        headway = Cli(tmp_path / "root")
        name = f"{link.host}/test/image:large"
        stopped = headway.start("pull", name)
        wait_until(lambda: link.bytes_down > 5 * SOME)
        stopped.send_signal(signal.SIGINT)
        stopped.communicate(timeout=20)
        (paused,) = json.loads(headway("pulls", "--format", "json").stdout)["items"]
        killed = headway.start("pull", name)
        wait_until(lambda: link.bytes_down > 15 * SOME)
        killed.kill()
        killed.communicate()
        (left,) = json.loads(headway("pulls", "--format", "json").stdout)["items"]
        assert headway("pull", name, f"{link.host}/test/image:1").returncode == 0
        assert headway("pull", f"{link.host}/test/image:nope").returncode == 1
        kept = json.loads(headway("pulls", "-a", "--format", "json").stdout)["items"]
        receipt = json.loads(headway("pulls", "show", paused["ID"]).stdout)["Receipt"]
        told = headway("pulls", "show", paused["ID"], "--format", "{{.State}} {{.Receipt.received}}").stdout
        crossed = link.bytes_down

    assert [(each["State"], each["Reason"]) for each in (paused, left)] == [
        ("paused", "client left"),
        ("paused", "what brought it has ended"),
    ]
    assert sorted((each["Image"].rpartition(":")[2], each["State"]) for each in kept) == [
        ("1", "complete"),
        ("large", "complete"),
        ("nope", "failed"),
    ]
    assert next(each["ID"] for each in kept if each["Image"] == name) == paused["ID"] == left["ID"]
    assert told == f"complete {receipt['received']}\n"
    assert LARGE_BYTES <= receipt["needed"] < crossed
    assert receipt["needed"] - 10 * SLOW * 2 < receipt["received"] < crossed  # a kill takes a second's
    assert set(receipt["seconds"]) >= {"running", "paused"}
    assert sum(receipt["sources"].values()) == receipt["received"]


def test_without_a_daemon_nothing_can_go_on_by_itself(tmp_path: Path) -> None:
    done = Cli(tmp_path / "root")("pull", "--detach", "alpine")

    assert done.returncode == 1
    assert "--detach leaves a pull to the daemon\nnext: start it" in done.stderr


def test_nothing_of_it_was_a_bug(scene: Scene) -> None:
    assert scene.running.bugs == []
