"""The command with a daemon: the same words, and the same answers as without one."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from headway.client.daemon import PING_SECONDS
from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.daemon import Daemon, daemon
from tests.fakes.nobody import UID, home_of_nobody
from tests.faults.registry import Registry

IMAGE = images.image([{"hello": b"hello\n"}], config={"Labels": {"stage": "test"}})


@dataclass(frozen=True)
class Both:
    """One store without a daemon, and a copy of it that a daemon holds.

    Attributes:
        alone: The command on the store without one.
        held: The command on the copy.
        running: The daemon.
    """

    alone: Cli
    held: Cli
    running: Daemon

    def named(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command without a data root; who is asked is named by words or environment."""
        cli = Cli(Path("/nonexistent/root"), environment=environment, names_root=False)
        return cli(*words)


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    with tempfile.TemporaryDirectory(prefix="hw") as place, Registry([IMAGE]) as registry:  # short: sockets lie there
        alone = Cli(Path(place) / "alone")
        name = f"{registry.host}/test/image"
        alone("pull", name)
        alone("tag", name, "hello:1")
        shutil.copytree(alone.data_root, Path(place) / "held" / "root", symlinks=True)
        with daemon(Path(place) / "held") as running:
            yield Both(alone, Cli(running.data_root), running)


def outcome(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


def masked(done: subprocess.CompletedProcess[str], cli: Cli) -> tuple[int, str, str]:
    """Return an outcome without what the two stores cannot share: where they lie."""
    return done.returncode, done.stdout.replace(str(cli.data_root), "ROOT"), done.stderr


QUESTIONS = [
    ("images",),
    ("images", "--digests", "--no-trunc", "hello"),
    ("images", "-q", "--filter", "label=stage=test"),
    ("images", "--filter", "nope=1"),
    ("history", "hello:1"),
    ("history", "nope"),
    ("df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}}"),
    ("events", "--since", "1h", "--until", "0s", "--filter", "event=tag"),
    ("events", "--since", "never"),
    ("mount",),
    ("prune", "--all", "--dry-run"),
    ("inspect", "nope", "hello:1"),
    ("check",),
    ("check", "--full", "--format", "json"),
    ("outdated", "nope"),
    ("traffic", "--since", "1d"),
    ("traffic", "--format", "json"),
    ("traffic", "--since", "never"),
]


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_a_question_has_the_same_answer_with_a_daemon_named_held_and_without(both: Both, words: tuple[str]) -> None:
    here = both.alone(*words)

    assert masked(both.held(*words), both.held) == masked(here, both.alone)
    assert masked(both.named("-H", both.running.host, *words), both.held) == masked(here, both.alone)


def test_the_environment_names_the_daemon(both: Both) -> None:
    shown = both.named("images", "-q", HEADWAY_HOST=both.running.host)

    assert outcome(shown) == (0, f"{IMAGE.image_id[7:19]}\n", "")


def test_dockers_own_address_is_used_where_headway_answers(both: Both) -> None:
    assert both.named("images", "-q", DOCKER_HOST=both.running.host).stdout == f"{IMAGE.image_id[7:19]}\n"


def test_what_takes_up_how_much_is_the_same_over_http(both: Both) -> None:
    here = json.loads(both.held("df", "--format", "json").stdout)

    assert json.loads(both.named("-H", both.running.host, "df", "--format", "json").stdout) == here


def test_dockers_own_address_is_passed_over_aloud_where_nobody_of_headway_answers() -> None:
    environment = {"DOCKER_HOST": "unix:///nope.sock", "XDG_DATA_HOME": "/nonexistent"}
    cli = Cli(Path(), names_root=False, environment=environment, uid=65534)

    done = cli("images", "-q")

    assert (done.returncode, done.stdout) == (0, "")
    assert "DOCKER_HOST (unix:///nope.sock) is not Headway, and is not used; set HEADWAY_HOST" in done.stderr


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_docker_that_hangs_holds_up_no_command(kind: str) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="hw") as place,
        socket.socket(socket.AF_UNIX) as hung,
        socket.socket() as tcp,
    ):
        hung.bind(f"{place}/docker.sock")
        tcp.bind(("127.0.0.1", 0))
        hung.listen()
        tcp.listen()
        host = {"unix": f"unix://{place}/docker.sock", "tcp": f"tcp://127.0.0.1:{tcp.getsockname()[1]}"}[kind]
        environment = {"DOCKER_HOST": host, "XDG_DATA_HOME": "/nonexistent"}
        Path(place).chmod(0o755)
        Path(place, "docker.sock").chmod(0o666)

        began = time.monotonic()
        done = Cli(Path(), names_root=False, environment=environment, uid=65534)("images", "-q")

    assert (done.returncode, done.stdout) == (0, "")
    assert "is not Headway, and is not used; set HEADWAY_HOST" in done.stderr
    assert time.monotonic() - began < 2 * PING_SECONDS  # and is not asked a second time whether it speaks TLS


def test_nobody_at_a_named_address_is_said(both: Both) -> None:
    done = both.named("-H", "unix:///nope.sock", "images")

    assert done.returncode == 1
    assert "headway: no daemon at unix:///nope.sock: No such file or directory\nnext: start it" in done.stderr


def test_a_socket_that_is_not_for_this_user_is_no_missing_daemon(both: Both) -> None:
    with home_of_nobody() as home:
        done = Cli(home / "root", uid=UID)("-H", both.running.host, "images")

    assert done.returncode == 1
    assert "headway: not allowed to ask the daemon at unix://" in done.stderr
    assert "next: run it as root, or as a member of the group" in done.stderr


@pytest.mark.parametrize("words", [("unpack", "a", "/nope"), ("bundle", "a", "/nope")])
def test_what_works_on_this_machine_only_is_refused_for_a_named_daemon(both: Both, words: tuple[str, ...]) -> None:
    for done in (both.named("-H", both.running.host, *words), both.named(*words, HEADWAY_HOST=both.running.host)):
        assert done.returncode == 2
        assert f"headway: {words[0]} works on this machine's own data root, not through a daemon" in done.stderr


def test_a_variable_that_is_empty_names_no_daemon(both: Both, tmp_path: Path) -> None:
    done = both.named("unpack", "hello:1", str(tmp_path / "there"), HEADWAY_HOST="")

    assert "not through a daemon" not in done.stderr


def test_where_a_daemon_is_to_listen_by_systemd_none_can_be_asked(both: Both) -> None:
    done = both.named("images", HEADWAY_HOST="fd://")

    assert done.returncode == 2
    assert "headway: fd:// is where a daemon listens, and none can be asked: write unix:///PATH\n" in done.stderr


def test_an_address_that_is_none_is_to_be_mended_where_it_was_said(both: Both) -> None:
    by_variable, by_flag = both.named("images", HEADWAY_HOST="ssh://far"), both.named("-H", "ssh://far", "images")

    for done, advice in (
        (by_variable, "correct HEADWAY_HOST, and run the same command again"),
        (by_flag, "headway images --help"),
    ):
        assert done.stderr.splitlines()[0].startswith("headway: invalid host 'ssh://far': write unix:///run/")
        assert done.stderr.splitlines()[1:] == [f"next: {advice}"]


def test_what_a_daemon_has_open_is_not_repaired_through_it(both: Both) -> None:
    done = both.named("-H", both.running.host, "check", "--repair", "-f")

    assert done.returncode == 2
    assert "headway: check --repair changes what a daemon has open: stop it" in done.stderr


def test_a_store_that_a_daemon_holds_is_changed_through_it(both: Both) -> None:
    for cli in (both.alone, both.held):
        assert outcome(cli("tag", "hello:1", "again:2")) == (0, "", "")
        assert cli("images", "-q", "again:2").stdout == f"{IMAGE.image_id[7:19]}\n"
        assert outcome(cli("rmi", "again:2")) == (0, "Untagged: again:2\n", "")
    failed = both.alone("rmi", "again:2"), both.held("rmi", "again:2")

    assert outcome(failed[0]) == outcome(failed[1])
    assert "no such image: again:2" in failed[1].stderr


def test_a_prune_goes_through_it(both: Both) -> None:
    assert outcome(both.held("prune", "-f")) == outcome(both.alone("prune", "-f"))


def test_mounts_go_through_it_and_stay(both: Both, tmp_path: Path) -> None:
    place = tmp_path / "here"
    mounted = both.held("mount", "hello:1", place)
    again = both.held("mount", "hello:1", place)
    content = (place / "hello").read_bytes()
    left, gone = both.held("umount", place), both.held("umount", place)

    assert outcome(mounted) == (0, f"{place}\n", "") == outcome(again)
    assert content == b"hello\n"
    assert "stays mounted: it was mounted once more" in left.stderr
    assert outcome(gone) == (0, "", "")
    assert both.held("umount", place).returncode == both.alone("umount", place).returncode != 0


def test_the_context_line_can_be_run(both: Both, tmp_path: Path) -> None:
    line = both.held("context").stdout
    environment = {"PATH": os.environ["PATH"], "DOCKER_CONFIG": str(tmp_path)}
    made = subprocess.run(line.split(), env=environment, capture_output=True, text=True, check=False)

    assert line == f"docker context create headway --docker host={both.running.host}\n"
    assert made.returncode == 0, made.stderr


def test_errors_keep_their_words_for_dockers_clients(both: Both) -> None:
    answer = both.running.ask("GET", "/headway/image?name=nope")

    assert answer.status == 404
    assert answer.json["message"] == "No such image: nope:latest"
    assert json.loads(answer.body)["error"]["kind"] == "NotFoundError"


def test_nothing_of_it_was_a_bug(both: Both) -> None:
    assert both.running.bugs == []


def test_a_configuration_that_is_valid_is_told_what_it_sets_in_vain(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text('{"bip": "10.0.0.1/24", "live-restore": true}')

    done = Cli(tmp_path / "root")("daemon", "--validate", "--config-file", file)

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        f"headway: {file}: bip, live-restore: of no use to an image service, ignored\nconfiguration OK\n"
    )


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ([], 0, "configuration OK"),
        (["-H", "tcp://127.0.0.1:0", "--tls=false"], 0, "configuration OK"),
        (["-H", "tcp://127.0.0.1:0"], 2, "headway: tcp:// speaks TLS: set tlscert and tlskey"),
        (["-s", "vfs", "-G", str(os.getgid())], 0, "configuration OK"),
        (["-G", "nosuchgroup"], 2, "headway: there is no group 'nosuchgroup'"),
        (["-s", "btrfs"], 2, "headway: error initializing graphdriver: driver not supported: btrfs is none of"),
        (
            ["-H", "tcp://127.0.0.1:0", "--tlscert", "/none", "--tlskey", "/none"],
            2,
            "headway: cannot read tlscert /none: No",
        ),
    ],
)
def test_a_configuration_that_could_not_be_listened_with_is_not_valid(
    tmp_path: Path, words: list[str], status: int, said: str
) -> None:
    done = Cli(tmp_path / "root")("daemon", "--validate", *words)

    assert done.returncode == status
    assert done.stderr.startswith(said)
