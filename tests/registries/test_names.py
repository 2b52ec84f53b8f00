"""The system's own resolver, asking a real name server that has a bad day."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.names import seeing
from tests.fakes.servers import DockerRegistry
from tests.faults.dns import NameFault, NameServer, later

HOST = "registry.headway.test"
IMAGE = images.image([images.noise_layer(100_000, seed=41)])
OTHER = dataclasses.replace(images.image([images.noise_layer(90_000, seed=42)]), tag="other")


def cli(tmp_path: Path, server: NameServer) -> Cli:
    return Cli(tmp_path / "root", before=seeing(server.resolv_conf(tmp_path), "/etc/resolv.conf"))


def test_a_name_that_does_not_exist_is_said_at_once(tmp_path: Path) -> None:
    with NameServer({}) as server:
        done = cli(tmp_path, server)("pull", f"{HOST}/test/image")

    assert done.returncode == 1
    assert f"{HOST}: its name does not exist" in done.stderr
    assert set(server.asked) == {HOST}


@pytest.mark.parametrize("fault", ["NXDOMAIN", "silence"])
def test_the_address_of_the_last_pull_serves_while_name_servers_are_down(
    tmp_path: Path, registry: DockerRegistry, fault: NameFault
) -> None:
    registry.push(IMAGE, "names/image")
    registry.push(OTHER, "names/image")
    name = f"{HOST}:{registry.port}/names/image"
    with NameServer({HOST: "127.0.0.1"}) as server:
        headway = cli(tmp_path, server)
        first = headway("pull", "--insecure-registry", f"{HOST}:{registry.port}", name)
        server.fault = fault
        second = headway("pull", "--insecure-registry", f"{HOST}:{registry.port}", f"{name}:other")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr


def test_a_registry_that_speaks_no_tls_is_told_of_with_what_allows_that(
    tmp_path: Path, registry: DockerRegistry
) -> None:
    host = f"{HOST}:{registry.port}"
    with NameServer({HOST: "127.0.0.1"}) as server:
        done = cli(tmp_path, server)("pull", f"{host}/names/image")

    assert done.returncode == 75
    assert f"{host}: TLS failed (what answers there speaks no TLS)" in done.stderr
    assert f"next: if it speaks plain HTTP, allow that with --insecure-registry {host} (insec" in done.stderr


def test_a_stranger_is_waited_for_until_name_servers_work(tmp_path: Path, registry: DockerRegistry) -> None:
    registry.push(IMAGE, "names/image")
    with NameServer({HOST: "127.0.0.1"}, "SERVFAIL") as server:
        headway = cli(tmp_path, server)
        name = f"{HOST}:{registry.port}/names/image"
        with later(1.5, lambda: setattr(server, "fault", ""), after=lambda: server.asked):
            done = headway("pull", "--insecure-registry", f"{HOST}:{registry.port}", name)

    assert done.returncode == 0, done.stderr
    assert "no name server answers" in done.stderr
