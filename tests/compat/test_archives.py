"""`save`, `load` and `adopt` as people and Docker's clients meet them."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.archives import docker_20, files_of, oci, tar_of
from tests.fakes.cli import Cli
from tests.fakes.daemon import Daemon, daemon
from tests.fakes.images import image, noise_layer
from tests.fakes.nobody import UID, home_of_nobody

BIG = 300_000
ONE = image([{"a": b"a"}, noise_layer(BIG)], compression="none", tag="docker.io/library/one:1")
TWO = image([{"b": b"b"}, noise_layer(BIG, 1)], compression="none", tag="example.com/two:2")
ARCHIVE = tar_of(docker_20(ONE, TWO))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "archive.tar"
    path.write_bytes(ARCHIVE)
    return path


@pytest.fixture
def headway(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "root")


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Daemon]:
    with daemon(tmp_path / "d") as running:
        yield running
        assert running.bugs == []


def test_what_is_loaded_is_said_in_dockers_words(headway: Cli, archive: Path) -> None:
    loaded = headway("load", "-i", archive)

    assert loaded.stdout == "Loaded image: one:1\nLoaded image: example.com/two:2\n"
    assert loaded.stderr == ""


def test_a_pipe_is_loaded_and_saved_to(headway: Cli, archive: Path, tmp_path: Path) -> None:
    other = Cli(tmp_path / "other")
    headway("load", "-i", archive)

    with headway.start("save", "one:1", "example.com/two:2") as saving:
        assert saving.stdout is not None
        with other.start("load", "-q", stdin=saving.stdout.fileno()) as loading:
            saving.stdout.close()

            assert loading.communicate(timeout=60) == ("Loaded image: one:1\nLoaded image: example.com/two:2\n", "")
        assert saving.wait(60) == 0
    headway("save", "-o", tmp_path / "1.tar", "one:1", "example.com/two:2")
    other("save", "-o", tmp_path / "2.tar", "one:1", "example.com/two:2")
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()


def test_a_save_that_fails_leaves_the_old_file_alone(headway: Cli, archive: Path, tmp_path: Path) -> None:
    headway("load", "-i", archive)
    target = tmp_path / "target.tar"
    target.write_bytes(b"old")
    (tree,) = (headway.data_root / "trees").glob("*/noise-0")
    tree.write_bytes(tree.read_bytes()[:-1] + b"?")

    refused = headway("save", "-o", target, "nope")
    damaged = headway("save", "-o", target, "one:1")

    assert (refused.returncode, damaged.returncode) == (1, 1)
    assert "no such image: nope:latest" in refused.stderr
    assert "noise-0" in damaged.stderr
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".headway")] == []


@pytest.mark.parametrize(
    ("target", "said", "advice"),
    [
        ("{place}", "{place}: Is a directory", "name a file: that is a directory"),
        ("{place}/none/x", "{place}/none/x: No such file or directory", "check the path: a part of it does not exist"),
        ("{place}/archive.tar/x", "{place}/archive.tar/x: Not a directory", "check the path: a part of it is a file"),
    ],
)
def test_where_an_archive_cannot_go_is_said(
    headway: Cli, archive: Path, tmp_path: Path, target: str, said: str, advice: str
) -> None:
    headway("load", "-i", archive)

    refused = headway("save", "-o", target.format(place=tmp_path), "one:1")

    assert refused.returncode == 1
    assert refused.stderr == f"headway: {said.format(place=tmp_path)}\nnext: {advice}\n"


def test_an_archive_that_is_too_large_for_where_it_goes_is_said(headway: Cli, archive: Path, tmp_path: Path) -> None:
    headway("load", "-i", archive)
    bounded = replace(headway, before=["prlimit", f"--fsize={BIG}"])

    refused = bounded("save", "-o", tmp_path / "out.tar", "one:1")

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"headway: {tmp_path}/out.tar: File too large\nnext: name another place: ")
    assert not (tmp_path / "out.tar").exists()


def test_an_archive_that_its_reader_may_not_look_at_is_said() -> None:
    with home_of_nobody() as home, tempfile.TemporaryDirectory() as closed:
        Path(closed).chmod(0o700)
        refused = Cli(home / "root", uid=UID)("load", "-i", Path(closed, "archive.tar"))

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"headway: cannot use {closed}/archive.tar: this user has no permission\n")


def test_an_archive_goes_nowhere_that_its_writer_may_not_look(archive: Path) -> None:
    with home_of_nobody() as home, tempfile.TemporaryDirectory() as closed:
        Path(closed).chmod(0)
        headway = Cli(home / "root", uid=UID)
        headway("load", "-i", shutil.copy(archive, home))
        refused = headway("save", "-o", Path(closed, "out.tar"), "one:1")

    assert refused.returncode == 1
    assert refused.stderr.startswith(
        f"headway: cannot use {closed}/out.tar: this user has no permission\nnext: make it"
    )


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_archive_that_is_stopped_leaves_nothing(tmp_path: Path, how: str) -> None:
    script = f"""
import os, signal, sys
from pathlib import Path
from headway.cli.output import write_out
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the tests' own shell ignores
signal.signal(signal.SIGHUP, signal.SIG_DFL)
def pieces():
    yield b"half"
    assert len(os.listdir(sys.argv[1])) == 1
    os.kill(os.getpid(), signal.{how})
    yield b"the rest"
write_out(pieces(), Path(sys.argv[1], "out.tar"))
"""
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False)

    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"
    assert list(tmp_path.iterdir()) == []


def test_an_archive_may_have_as_long_a_name_as_a_file_can(headway: Cli, archive: Path, tmp_path: Path) -> None:
    headway("load", "-i", archive)

    saved = headway("save", "-o", tmp_path / ("x" * 255), "one:1")

    assert (saved.returncode, (tmp_path / ("x" * 255)).stat().st_size > BIG) == (0, True)


def test_a_broken_archive_says_what_is_wrong_and_what_to_do(headway: Cli, tmp_path: Path) -> None:
    (tmp_path / "cut.tar").write_bytes(ARCHIVE[:BIG])

    failed = headway("load", "-i", tmp_path / "cut.tar")

    assert failed.returncode == 1
    assert failed.stdout == ""
    assert failed.stderr == (
        "headway: the archive cannot be loaded: it is cut short: it ends inside a file's content\n"
        "next: make the archive again, or copy it again and compare its checksum\n"
    )
    assert headway("images", "-aq").stdout == ""


def test_a_layer_or_a_document_in_it_that_is_broken_gets_the_same_advice(headway: Cli, tmp_path: Path) -> None:
    files = oci(ONE)
    layer = f"blobs/sha256/{ONE.layers[1][7:]}"
    broken = {**files, layer: b"no tar at all" * BIG}
    no_digest = {**files, "index.json": b'{"manifests": [{"mediaType": "", "digest": "nonsense", "size": 1}]}'}

    failed = [
        headway("load", "-i", _written(tmp_path / "archive.tar", tar_of(broken))),
        headway("load", "-i", _written(tmp_path / "archive.tar", tar_of(no_digest))),
        headway("import", _written(tmp_path / "root.tar", ARCHIVE[:BIG])),
    ]

    assert [each.returncode for each in failed] == [1, 1, 1]
    assert {each.stderr.splitlines()[1] for each in failed} == {
        "next: make the archive again, or copy it again and compare its checksum"
    }


def test_a_killed_load_is_no_image_and_the_next_one_goes_on(headway: Cli, tmp_path: Path) -> None:
    tree = headway.data_root / "trees" / f"sha256-{ONE.diff_ids[1][7:]}"
    killed = headway.start("load", stdin=subprocess.PIPE)
    assert killed.stdin is not None
    # A pipe holds less than the second image: whoever takes so much has the first one's layers.
    os.write(killed.stdin.fileno(), ARCHIVE[: len(ARCHIVE) - 100_000])
    killed.kill()
    killed.communicate()
    assert headway("images", "-aq").stdout == ""
    inode = tree.stat().st_ino

    done = headway("load", "-i", _written(tmp_path / "archive.tar", ARCHIVE))

    assert done.returncode == 0, done.stderr
    assert tree.stat().st_ino == inode
    assert list((headway.data_root / "tmp").iterdir()) == []


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_so_it_does_through_a_daemon(running: Daemon, tmp_path: Path) -> None:
    (tmp_path / "cut.tar").write_bytes(ARCHIVE[:BIG])
    headway = Cli(running.data_root)

    failed = headway("load", "-i", tmp_path / "cut.tar")
    missing = headway("-H", running.host, "save", "-o", tmp_path / "out.tar", "nope")

    assert failed.returncode == 1
    assert "truncated: it ends inside a file's content" in failed.stderr
    assert failed.stderr.endswith("\nnext: make the archive again, or copy it again and compare its checksum\n")
    assert missing.stderr.endswith("next: check the name; headway images lists the images here\n")


# Docker's clients


def test_dockers_load_streams_what_it_says(running: Daemon) -> None:
    quiet = running.ask("POST", "/v1.41/images/load?quiet=1", body=ARCHIVE)
    loud = running.ask("POST", "/v1.41/images/load?quiet=0", body=tar_of(oci(ONE)))

    assert (quiet.status, quiet.headers["content-type"]) == (200, "application/json")
    assert quiet.lines == [{"stream": "Loaded image: one:1\n"}, {"stream": "Loaded image: example.com/two:2\n"}]
    assert loud.lines[-1] == {"stream": "Loaded image: one:1\n"}


def test_every_name_of_an_image_is_a_message_of_its_own_as_docker_py_reads_them(running: Daemon) -> None:
    item = json.loads(docker_20(ONE)["manifest.json"])[0]
    named = {**docker_20(ONE), "manifest.json": json.dumps([{**item, "RepoTags": ["one:1", "one:latest"]}]).encode()}

    loaded = running.ask("POST", "/v1.41/images/load?quiet=1", body=tar_of(named))

    assert loaded.lines == [{"stream": "Loaded image: one:1\n"}, {"stream": "Loaded image: one:latest\n"}]


def test_docker_sees_a_layers_bar_unless_it_wants_quiet(running: Daemon) -> None:
    loud = running.ask("POST", "/v1.41/images/load?quiet=0", body=tar_of(oci(ONE)))

    bars = [line for line in loud.lines if line.get("status") == "Loading layer"]
    assert {line["id"] for line in bars} == {each[7:19] for each in ONE.layers}
    assert all(line["progressDetail"]["current"] <= line["progressDetail"]["total"] for line in bars)


def test_dockers_save_is_what_headway_saves(running: Daemon, tmp_path: Path) -> None:
    running.ask("POST", "/v1.41/images/load", body=ARCHIVE)

    several = running.ask("GET", "/v1.41/images/get?names=one:1&names=example.com/two:2")
    one = running.ask("GET", "/v1.41/images/example.com/two:2/get")

    assert several.headers["content-type"] == "application/x-tar"
    assert several.body == _local_save(running, tmp_path, "one:1", "example.com/two:2")
    assert one.body == _local_save(running, tmp_path, "example.com/two:2")
    told = running.ask("GET", f"/events?since=1&until={time.time()}")
    assert [line["Action"] for line in told.lines] == ["load", "load", "save", "save", "save"]


def _local_save(running: Daemon, tmp_path: Path, *names: str) -> bytes:
    done = Cli(running.data_root)("save", "-o", tmp_path / "local.tar", *names)
    assert done.returncode == 0, done.stderr
    return (tmp_path / "local.tar").read_bytes()


def test_a_save_that_fails_under_way_does_not_end_as_a_whole_one(running: Daemon) -> None:
    long = image([noise_layer(3_000_000)], compression="none", tag="long:1")
    running.ask("POST", "/images/load", body=tar_of(docker_20(long)))
    (tree,) = (running.data_root / "trees").glob("*/noise-0")
    tree.write_bytes(tree.read_bytes()[:-1] + b"?")

    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        running.ask("GET", "/images/long:1/get")


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/images/get?names=nope", 404, "No such image: nope:latest"),
        ("GET", "/images/nope/get", 404, "No such image: nope:latest"),
        ("GET", "/v1.48/images/get?names=one:1&platform={}", 400, "OS and Architecture"),
        ("POST", "/images/load", 400, "the archive cannot be loaded: it is empty"),
    ],
)
def test_what_cannot_be_is_an_error_of_http(running: Daemon, method: str, path: str, status: int, words: str) -> None:
    answer = running.ask(method, path, body=b"" if method == "POST" else None)

    assert answer.status == status
    assert words in answer.json["message"]


def test_a_client_that_leaves_in_the_middle_leaves_nothing(running: Daemon) -> None:
    half = b"POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(ARCHIVE) + ARCHIVE[: BIG + 9000]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as raw:
        raw.connect(str(running.socket))
        raw.sendall(half)
    assert running.ask("POST", "/images/load", body=ARCHIVE).status == 200
    assert len(running.ask("GET", "/images/json").json) == 2


def test_the_command_goes_through_the_daemon_that_holds_the_store(
    running: Daemon, archive: Path, tmp_path: Path
) -> None:
    headway = Cli(running.data_root)

    assert headway("load", "-i", archive).stdout == "Loaded image: one:1\nLoaded image: example.com/two:2\n"
    asked = Cli(tmp_path / "nothing", names_root=False)("-H", running.host, "save", "-o", tmp_path / "a.tar", "one:1")

    assert asked.returncode == 0, asked.stderr
    assert json.loads(files_of((tmp_path / "a.tar").read_bytes())["manifest.json"])[0]["RepoTags"] == ["one:1"]


# Adopting: Headway's own daemon answers as Docker's does


def test_images_are_adopted_with_their_names(running: Daemon, headway: Cli) -> None:
    running.ask("POST", "/images/load", body=ARCHIVE)

    first = headway("adopt", "docker", "--host", running.host, "one:1")
    rest = headway("adopt", "docker", "--host", running.host)

    assert [line.split()[0] for line in first.stdout.splitlines()] == ["one:1"]
    assert sorted(line.split()[0] for line in rest.stdout.splitlines()) == ["example.com/two:2", "one:1"]
    assert "already here" in rest.stdout
    assert sorted(headway("images", "-q", "--no-trunc").stdout.split()) == sorted([ONE.image_id, TWO.image_id])


def test_a_docker_that_is_not_there_is_one_error(headway: Cli, tmp_path: Path) -> None:
    failed = headway("adopt", "docker", "--host", f"unix://{tmp_path}/none")

    assert failed.returncode == 1
    assert failed.stderr.splitlines()[0] == f"headway: no daemon at unix://{tmp_path}/none: No such file or directory"
    assert failed.stderr.splitlines()[1].startswith("next: start Docker")


def test_a_name_that_no_image_can_have_is_the_callers_mistake(running: Daemon, headway: Cli) -> None:
    failed = headway("adopt", "docker", "--host", running.host, "UPPER:1")

    assert failed.returncode == 2
    assert "invalid reference format: repository name" in failed.stderr
    assert failed.stderr.splitlines()[-1] == "next: headway adopt --help"


def test_an_image_that_docker_does_not_have_is_one_error(running: Daemon, headway: Cli) -> None:
    failed = headway("adopt", "docker", "--host", running.host, "nope:1")

    assert failed.returncode == 1
    assert "no such image: nope:1" in failed.stderr
    assert "next: check the name; docker images lists what Docker has" in failed.stderr
