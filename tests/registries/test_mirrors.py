"""Mirrors that are dead, hang, lie or refuse: the registry behind them brings the right image, and soon."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.servers import DockerRegistry, docker_registry
from tests.faults.auth import Basic
from tests.faults.registry import Registry
from tests.faults.sockets import listen
from tests.faults.story import CutAfter, FlipByte, StallAfter, Status
from tests.faults.story import Fault as On

IMAGE = images.image([images.noise_layer(1_500_000), images.noise_layer(500_000, seed=1)])
BYTES = sum(len(data) for data in IMAGE.blobs.values())
SWITCH_SECONDS = 5.0
START_SECONDS = 2.0  # of the command, on a busy machine
USER, PASSWORD = "me", "correct-horse-battery"


def pull(
    tmp_path: Path, origin: str, *mirrors: str, home: str = "/nonexistent", how: Sequence[str] = (), tag: str = "latest"
) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps({"mirrors": {origin: list(mirrors)}}))
    headway = Cli(tmp_path / "root", {"HOME": home})
    return headway("pull", "--config-file", file, *how, f"{origin}/test/image:{tag}")


def received(done: subprocess.CompletedProcess[str]) -> float:
    """Return received bytes over needed ones, from the receipt."""
    match = re.search(r"received \S+ \S+ \(([0-9.]+)\)", done.stderr)
    assert match is not None, done.stderr
    return float(match[1])


def test_a_mirror_that_works_brings_all_of_it(tmp_path: Path) -> None:
    with Registry([IMAGE]) as mirror, Registry([IMAGE]) as origin:
        done = pull(tmp_path, origin.host, mirror.url)

        assert done.returncode == 0
        assert origin.log == []


def test_a_real_pull_through_cache_is_a_mirror(tmp_path: Path, registry: DockerRegistry) -> None:
    registry.push(IMAGE, "mirrored/image")
    with docker_registry(tmp_path / "cache", proxy_of=registry.url) as cache:
        file = tmp_path / "daemon.json"
        file.write_text(json.dumps({"mirrors": {"127.0.0.1:1": [cache.url]}}))

        done = Cli(tmp_path / "root")("pull", "--config-file", file, "127.0.0.1:1/mirrored/image")

    assert (done.returncode, done.stdout.split()[0]) == (0, "127.0.0.1:1/mirrored/image:latest")


def test_a_mirror_that_is_dead_costs_nothing(tmp_path: Path) -> None:
    with Registry([IMAGE]) as origin:
        done = pull(tmp_path, origin.host, "http://127.0.0.1:1")

    assert done.returncode == 0
    assert received(done) <= 1.01


def test_where_only_a_mirror_can_be_reached_what_it_says_is_told(tmp_path: Path) -> None:
    with Registry([IMAGE], faults=[On(Status(404), kind="manifest")]) as mirror:
        done = pull(tmp_path, "127.0.0.1:1", mirror.url)

        said = done.stderr.splitlines()
        assert done.returncode == 75
        assert "127.0.0.1:1: connection refused" in said[-4]
        assert said[-3].startswith(f"         its mirror {mirror.host}: no such manifest: test/image:latest")
        assert said[0].startswith("waiting for the link: 127.0.0.1:1: connection refused; its mirror")


def test_a_mirror_that_lacks_a_tag_makes_no_outage_of_a_registry_that_nobody_has_reached(tmp_path: Path) -> None:
    with Registry([IMAGE]) as mirror:
        good = pull(tmp_path, "127.0.0.1:1", mirror.url)
        began = time.monotonic()
        missing = pull(tmp_path, "127.0.0.1:1", mirror.url, tag="typo")

        assert (good.returncode, missing.returncode) == (0, 75)
        assert time.monotonic() - began < 10 + START_SECONDS
        assert f"its mirror {mirror.host}: no such manifest: test/image:typo" in missing.stderr


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_mirror_that_says_nothing_is_left_within_five_seconds(tmp_path: Path, scheme: str) -> None:
    with listen() as silent, Registry([IMAGE]) as origin:
        done = pull(tmp_path, origin.host, f"{scheme}://127.0.0.1:{silent.getsockname()[1]}")

        assert done.returncode == 0
        assert received(done) <= 1.01
        assert origin.log[0].seconds < SWITCH_SECONDS + START_SECONDS


def test_mirrors_behind_a_black_hole_leave_a_registry_that_nobody_knows_its_time(tmp_path: Path) -> None:
    with black_hole() as first, black_hole() as second, black_hole() as third, Registry([IMAGE]) as origin:
        done = pull(tmp_path, origin.host, first, second, third)

    assert done.returncode == 0, done.stderr


def test_a_mirror_that_gives_a_header_now_and_then_is_left_too(tmp_path: Path) -> None:
    with listen() as endless, Registry([IMAGE]) as origin:
        process = headers_without_end(endless)
        done = pull(tmp_path, origin.host, f"http://127.0.0.1:{endless.getsockname()[1]}")
        process.join()

    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """Give the URL of a port that no packet comes back from: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as waiting:
        for _ in range(3):
            client = waiting.enter_context(socket.socket())
            client.settimeout(0)
            client.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"


def headers_without_end(listener: socket.socket) -> threading.Thread:
    """Answer one connection with a header each second, until it is closed."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                connection.sendall(b"X-More: to come\r\n")
                time.sleep(1.0)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(
    "script",
    [
        [On(Status(404), kind="manifest")],
        [On(Status(404), kind="blob")],
        [On(Status(503))],
        [On(Status(200, {"Content-Type": "text/html"}, b"<html>Welcome</html>"))],
        [On(CutAfter(500_000), kind="blob", digest=IMAGE.layers[0], nth=1),
         On(Status(503), kind="blob", digest=IMAGE.layers[0])],
    ],
)  # fmt: skip
def test_a_mirror_that_fails_costs_no_byte_twice(tmp_path: Path, script: Sequence[On]) -> None:
    with Registry([IMAGE], faults=script) as mirror, Registry([IMAGE]) as origin:
        done = pull(tmp_path, origin.host, mirror.url)

        assert done.returncode == 0
        assert received(done) <= 1.01
        assert mirror.sent("blob") + origin.sent("blob") <= 1.01 * BYTES


def test_a_mirror_that_stalls_in_a_layer_is_left_where_it_stopped(tmp_path: Path) -> None:
    stall = On(StallAfter(1_000_000), kind="blob", digest=IMAGE.layers[0])
    with Registry([IMAGE], faults=[stall]) as mirror, Registry([IMAGE]) as origin:
        done = pull(tmp_path, origin.host, mirror.url)
        ranges = [
            [line.range for line in each.requests("blob") if IMAGE.layers[0] in line.path] for each in (mirror, origin)
        ]

    assert done.returncode == 0
    assert received(done) <= 1.01
    assert ranges == [[""], ["bytes=1000000-"]]


def test_wrong_bytes_from_a_mirror_are_found_and_replaced(tmp_path: Path) -> None:
    lie = On(FlipByte(700_000), kind="blob", digest=IMAGE.layers[0])
    with Registry([IMAGE], faults=[lie]) as mirror, Registry([IMAGE]) as origin:
        done = pull(tmp_path, origin.host, mirror.url)

        assert done.returncode == 0
        assert "wrong content" in done.stderr
        assert 0 < origin.sent("blob") <= len(IMAGE.blobs[IMAGE.layers[0]])


def test_a_wrong_manifest_from_a_mirror_is_found(tmp_path: Path) -> None:
    lie = On(FlipByte(10), kind="manifest", method="GET")
    with Registry([IMAGE], faults=[lie]) as mirror, Registry([IMAGE]) as origin:
        done = pull(tmp_path, origin.host, mirror.url)

        assert done.returncode == 0
        assert len(origin.requests("manifest")) == 1


OLD = images.image([images.noise_layer(100_000, seed=7)])


@pytest.mark.parametrize("gone", [OLD.manifest_digest, OLD.image_id, OLD.layers[0]])
def test_where_a_mirrors_tag_is_old_and_no_longer_to_be_had_the_registrys_own_counts(tmp_path: Path, gone: str) -> None:
    with Registry([OLD]) as mirror, Registry([IMAGE]) as origin:
        mirror.remove(gone)
        if gone == OLD.manifest_digest:
            mirror.faults = [On(Status(200, {"Docker-Content-Digest": gone}), kind="manifest", method="HEAD")]
        done = pull(tmp_path, origin.host, mirror.url)
        again = pull(tmp_path, origin.host)

    assert done.returncode == 0, done.stderr
    assert IMAGE.manifest_digest in done.stdout
    assert "received 0 B" in again.stderr


@pytest.mark.parametrize("how", [["--dry-run"], ["--max-bytes", "10M"]])
def test_what_is_planned_where_a_mirrors_tag_is_old_is_the_registrys_own(tmp_path: Path, how: list[str]) -> None:
    with Registry([OLD]) as mirror, Registry([IMAGE]) as origin:
        mirror.remove(OLD.image_id)
        done = pull(tmp_path, origin.host, mirror.url, how=how)

    assert done.returncode == 0, done.stderr
    assert IMAGE.manifest_digest in done.stdout


def test_what_a_mirrors_old_tag_has_brought_counts_as_received_and_not_as_here(tmp_path: Path) -> None:
    base = images.noise_layer(1_000_000, seed=11)
    old, new = (images.image([base, images.noise_layer(100_000, seed=seed)]) for seed in (7, 8))
    with Registry([old]) as mirror, Registry([new]) as origin:
        mirror.remove(old.layers[1])
        done = pull(tmp_path, origin.host, mirror.url)

    assert done.returncode == 0, done.stderr
    assert "already here 0 B" in done.stderr
    assert 1.0 <= received(done) < 1.1


def test_what_neither_mirror_nor_registry_has_is_missing_once(tmp_path: Path) -> None:
    with Registry([OLD]) as mirror, Registry([OLD]) as origin:
        mirror.remove(OLD.layers[0])
        origin.remove(OLD.layers[0])
        done = pull(tmp_path, origin.host, mirror.url)

    assert done.returncode == 1
    assert f"no such blob: {OLD.layers[0]}" in done.stderr


def test_a_mirror_gets_no_credentials_of_the_registry_and_its_own_from_the_files(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".docker").mkdir(parents=True)
    with (
        Registry([IMAGE], auth=Basic("mirror", "another-secret")) as mirror,
        Registry([IMAGE], auth=Basic(USER, PASSWORD)) as origin,
    ):
        logins = {origin.host: f"{USER}:{PASSWORD}"}
        write_logins(home, logins)
        first = pull(tmp_path, origin.host, mirror.url, home=str(home))
        refused = [line.authorized for line in mirror.log]
        write_logins(home, {**logins, mirror.host: "mirror:another-secret"})
        Cli(tmp_path / "root")("rmi", f"{origin.host}/test/image")
        second = pull(tmp_path, origin.host, mirror.url, home=str(home))
        served = mirror.requests("manifest", status=200)

    assert (first.returncode, second.returncode) == (0, 0)
    assert refused == [False]
    assert served


def write_logins(home: Path, logins: dict[str, str]) -> None:
    entries = {host: {"auth": base64.b64encode(login.encode()).decode()} for host, login in logins.items()}
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": entries}))


def test_when_everybody_fails_the_registrys_own_word_counts(tmp_path: Path) -> None:
    with Registry([]) as origin:
        done = pull(tmp_path, origin.host, "http://127.0.0.1:1")

    assert done.returncode == 1
    assert "no such manifest: test/image:latest" in done.stderr


# --- foreign layers ---------------------------------------------------------------------------------------------


def test_a_foreign_layer_that_the_registry_does_not_have_comes_from_its_urls(tmp_path: Path) -> None:
    digest = IMAGE.layers[0]
    with Registry([IMAGE]) as elsewhere, Registry([IMAGE], auth=Basic(USER, PASSWORD)) as origin:
        path = f"/v2/test/image/blobs/{digest}"
        foreign = with_foreign_layer(digest, ["ftp://127.0.0.1/x", "http://127.0.0.1:1/x", elsewhere.url + path])
        origin.add(foreign, tag="foreign")
        origin.remove(digest)
        home = tmp_path / "home"
        (home / ".docker").mkdir(parents=True)
        write_logins(home, {"127.0.0.1": f"{USER}:{PASSWORD}", origin.host: f"{USER}:{PASSWORD}"})

        done = Cli(tmp_path / "root", {"HOME": str(home)})("pull", f"{origin.host}/test/image:foreign")
        asked = [(line.path, line.authorized) for line in elsewhere.log]

    assert done.returncode == 0, done.stderr
    assert asked == [(path, False)]


def with_foreign_layer(digest: str, urls: list[str]) -> images.Image:
    """Return the image with one of its layers not to be distributed."""
    document = json.loads(IMAGE.blobs[IMAGE.manifest_digest])
    for layer in document["layers"]:
        if layer["digest"] == digest:
            layer["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            layer["urls"] = urls
    data = json.dumps(document).encode()
    name = f"sha256:{hashlib.sha256(data).hexdigest()}"
    media_type = IMAGE.media_types[IMAGE.manifest_digest]
    blobs = {key: value for key, value in IMAGE.blobs.items() if key != IMAGE.manifest_digest}
    return dataclasses.replace(
        IMAGE, blobs={**blobs, name: data}, media_types={name: media_type}, manifest_digest=name, tag="foreign"
    )
