"""Pushes to Debian's docker-registry, and what others make of what was pushed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.servers import DockerRegistry, docker_registry, skopeo
from tests.fakes.token_server import token_server
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.faults.story import CutUploadEvery, Latency
from tests.faults.tls import Certificate, make_certificate

USER, PASSWORD = "me", "correct-horse-battery"
PROBE = images.image([{f"file-{number}": images.noise(20_000, number)} for number in range(8)], index=True)


@pytest.fixture
def headway(tmp_path: Path) -> Cli:
    """The command, with the probe pulled as ``probe``."""
    home = tmp_path / "home"
    home.mkdir()
    cli = Cli(tmp_path / "root", {"HOME": str(home)})
    settings = tmp_path / "daemon.json"
    settings.write_text(json.dumps({"record-recipes": True}))
    with Registry([PROBE]) as source:
        name = f"{source.host}/test/image"
        assert cli("pull", "--config-file", settings, name).returncode == 0
    assert cli("tag", name, "probe").returncode == 0
    return cli


def push(headway: Cli, name: str, *flags: str) -> subprocess.CompletedProcess[str]:
    assert headway("tag", "probe", name).returncode == 0
    return headway("push", *flags, name)


def log_in(headway: Cli, host: str, password: str) -> None:
    """Save a login without asking the registry."""
    config = Path(headway.environment["HOME"]) / ".docker" / "config.json"
    config.parent.mkdir(exist_ok=True)
    config.write_text(json.dumps({"auths": {host: {"username": USER, "password": password}}}))


def test_skopeo_reads_what_was_pushed(headway: Cli, registry: DockerRegistry, tmp_path: Path) -> None:
    done = push(headway, f"{registry.host}/pushed/probe:1")

    skopeo("copy", "--src-tls-verify=false", f"docker://{registry.host}/pushed/probe:1", f"oci:{tmp_path / 'layout'}:1")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "layout/blobs/sha256" / PROBE.image_id.partition(":")[2]).exists()


def test_a_second_push_sends_nothing_but_the_manifest(headway: Cli, registry: DockerRegistry) -> None:
    first = push(headway, f"{registry.host}/twice/probe:1")
    second = push(headway, f"{registry.host}/twice/probe:2", "--progress", "json")

    last = json.loads(second.stderr.splitlines()[-1])
    assert first.stdout.partition("digest: ")[2] == second.stdout.partition("digest: ")[2]
    assert (last["type"], last["receipt"]["sent"]) == ("PushDone", last["size"])


def test_over_tls_with_a_login(headway: Cli, certificate: Certificate, tmp_path: Path) -> None:
    trust = Path(headway.environment["HOME"]) / ".config" / "headway" / "certs.d"
    with docker_registry(tmp_path / "secure", certificate=certificate, login=(USER, PASSWORD)) as secure:
        (trust / secure.host).mkdir(parents=True)
        (trust / secure.host / "ca.crt").write_bytes(certificate.certificate.read_bytes())
        name = f"{secure.host}/private/probe:1"
        log_in(headway, secure.host, "wrong-horse")
        wrong = push(headway, name)
        log_in(headway, secure.host, PASSWORD)
        right = push(headway, name)

    assert (wrong.returncode, right.returncode) == (77, 0), wrong.stderr + right.stderr
    assert "unauthorized: incorrect username or password" in wrong.stderr
    assert "headway login" in wrong.stderr.splitlines()[-1]
    assert PASSWORD not in right.stderr + right.stdout


def test_a_token_that_expires_in_the_middle_of_a_push_is_renewed(headway: Cli, tmp_path: Path) -> None:
    with (
        token_server(make_certificate(tmp_path), (USER, PASSWORD)) as tokens,
        docker_registry(tmp_path / "tokens", auth=tokens.configuration()) as registry,
        Link(target=("127.0.0.1", registry.port), faults=[Latency(0.1)]) as link,
    ):
        tokens.lifetime_seconds = -59  # the registry allows a minute for clocks that differ
        log_in(headway, link.host, PASSWORD)
        done = push(headway, f"{link.host}/private/probe:1")

    assert done.returncode == 0, done.stderr
    assert len(tokens.scopes) >= 2
    assert set(tokens.scopes) == {"repository:private/probe:pull,push"}


def test_a_mount_asks_to_read_the_other_repository_too(headway: Cli, tmp_path: Path) -> None:
    with (
        token_server(make_certificate(tmp_path), (USER, PASSWORD)) as tokens,
        docker_registry(tmp_path / "tokens", auth=tokens.configuration()) as registry,
    ):
        log_in(headway, registry.host, PASSWORD)
        first = push(headway, f"{registry.host}/one/probe:1")
        second = push(headway, f"{registry.host}/two/probe:1")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "repository:two/probe:pull,push repository:one/probe:pull" in tokens.scopes
    assert "mounted from one/probe" in second.stderr


def test_a_wrong_password_at_the_token_server_is_refused(headway: Cli, tmp_path: Path) -> None:
    with (
        token_server(make_certificate(tmp_path), (USER, PASSWORD)) as tokens,
        docker_registry(tmp_path / "tokens", auth=tokens.configuration()) as registry,
    ):
        log_in(headway, registry.host, "wrong-horse")
        done = push(headway, f"{registry.host}/private/probe:1")

    assert done.returncode == 77
    assert "unauthorized: incorrect username or password" in done.stderr


def test_a_pull_through_cache_takes_no_pushes(headway: Cli, registry: DockerRegistry, tmp_path: Path) -> None:
    with docker_registry(tmp_path / "cache", proxy_of=registry.url) as cache:
        done = push(headway, f"{cache.host}/test/probe:1")

    assert done.returncode == 1
    assert "takes no pushes (HTTP 405); is it a cache, or read-only?" in done.stderr


def test_uploads_that_are_cut_get_through_and_the_host_is_remembered(headway: Cli, registry: DockerRegistry) -> None:
    big = images.image([images.noise_layer(9_000_000, seed=9)])
    with (
        Registry([big]) as source,
        Link(target=("127.0.0.1", registry.port), faults=[CutUploadEvery(5_000_000)]) as link,
    ):
        name = f"{source.host}/test/image"
        pulled = headway("pull", "--config-file", headway.data_root.parent / "daemon.json", name)
        headway("tag", name, f"{link.host}/cut/big")
        first = headway("push", f"{link.host}/cut/big")
        cuts = link.resets
        headway("tag", "probe", f"{link.host}/cut/probe")
        second = headway("push", f"{link.host}/cut/probe")

    assert (pulled.returncode, first.returncode, second.returncode) == (0, 0, 0), first.stderr
    assert (cuts, link.resets) == (1, 1)
