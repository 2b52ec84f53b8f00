"""Registries with certificates of their own: certs.d, client certificates, and what is said where they are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.errors import InvalidSettingError
from headway.registry.address import Address
from headway.registry.certificates import Certificates, certificate_directories
from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.names import knowing
from tests.fakes.servers import DockerRegistry, docker_registry
from tests.faults.tls import Certificate, make_certificate

NAME = "registry.test"
IMAGE = images.image([images.noise_layer(10_000)])


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("own"), names=f"DNS:{NAME},IP:127.0.0.1")


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory, own: Certificate) -> Iterator[DockerRegistry]:
    """A registry that is `NAME` for whoever knows that name; its certificate is its own authority."""
    with docker_registry(tmp_path_factory.mktemp("registry"), certificate=own) as running:
        running.push(IMAGE)
        yield running


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="session")
def choosy(
    tmp_path_factory: pytest.TempPathFactory, own: Certificate, client: Certificate, registry: DockerRegistry
) -> Iterator[DockerRegistry]:
    """One that wants a client's certificate; it has the storage of the other, which can be pushed to."""
    directory = tmp_path_factory.mktemp("choosy")
    with docker_registry(directory, certificate=own, clients=client, storage=registry.storage) as running:
        yield running


@pytest.fixture
def headway(tmp_path: Path) -> Cli:
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    return Cli(tmp_path / "root", environment, before=knowing(tmp_path, NAME))


def certs_d(tmp_path: Path, port: int, tool: str = "headway") -> Path:
    directory = tmp_path / "config" / tool / "certs.d" / f"{NAME}:{port}"
    directory.mkdir(parents=True)
    return directory


@pytest.mark.parametrize("tool", ["headway", "containers", "docker"])
def test_a_registrys_own_authority_is_trusted_for_that_registry(
    registry: DockerRegistry, own: Certificate, headway: Cli, tmp_path: Path, tool: str
) -> None:
    shutil.copy(own.certificate, certs_d(tmp_path, registry.port, tool) / "any.crt")

    done = headway("pull", f"{NAME}:{registry.port}/test/image")

    assert (done.returncode, done.stdout.split()[0]) == (0, f"{NAME}:{registry.port}/test/image:latest")


def test_an_unknown_authority_is_refused_with_what_to_do(registry: DockerRegistry, headway: Cli) -> None:
    host = f"{NAME}:{registry.port}"

    done = headway("pull", f"{host}/test/image")

    assert done.returncode == 1
    assert "its certificate is not trusted" in done.stderr
    assert (
        done.stderr.splitlines()[-1]
        == f"next: put its CA, as ca.crt, into /etc/headway/certs.d/{host} (or below ~/.config/headway), "
        f"or allow it with --insecure-registry {host} (insecure-registries)"
    )


def test_an_insecure_registry_needs_no_authority(registry: DockerRegistry, headway: Cli, tmp_path: Path) -> None:
    (certs_d(tmp_path, registry.port) / "lone.cert").touch()  # and its files are not looked at

    done = headway("pull", "--insecure-registry", f"{NAME}:{registry.port}", f"{NAME}:{registry.port}/test/image")

    assert done.returncode == 0


def test_a_client_certificate_is_shown_to_who_wants_one(
    choosy: DockerRegistry, own: Certificate, client: Certificate, headway: Cli, tmp_path: Path
) -> None:
    directory = certs_d(tmp_path, choosy.port)
    shutil.copy(own.certificate, directory / "ca.crt")
    without = headway("pull", f"{NAME}:{choosy.port}/test/image")
    shutil.copy(client.certificate, directory / "me.cert")
    shutil.copy(client.key, directory / "me.key")

    with_it = headway("pull", f"{NAME}:{choosy.port}/test/image")

    assert "TLS failed" in without.stderr
    assert "next: it wants to be shown a certificate" in without.stderr
    assert without.returncode != 0
    assert with_it.returncode == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("me.cert", "missing key me.key for client certificate {}. Note that CA certificates should use"),
        ("me.key", "missing client certificate me.cert for key {}"),
    ],
)
def test_half_a_client_certificate_is_an_error_in_dockers_words(
    registry: DockerRegistry, headway: Cli, tmp_path: Path, name: str, said: str
) -> None:
    file = certs_d(tmp_path, registry.port) / name
    file.touch()

    done = headway("pull", f"{NAME}:{registry.port}/test/image")

    assert done.returncode == 2
    assert said.format(file) in done.stderr
    assert done.stderr.splitlines()[-2].endswith(" (on this machine)")


# --- the settings themselves ------------------------------------------------------------------------------------

HOST = Address("https", "example.com", 443, registry="example.com")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "certs.d" / "example.com"
    made.mkdir(parents=True)
    return made


def test_settings_are_made_anew_only_when_a_file_changes(directory: Path, own: Certificate) -> None:
    certificates = Certificates([directory.parent])
    shutil.copy(own.certificate, directory / "ca.crt")

    first, second = certificates.context(HOST), certificates.context(HOST)
    os.utime(directory / "ca.crt", (1, 1))
    third = certificates.context(HOST)
    other = certificates.context(Address("https", "other.example", 443))

    assert first is second
    assert first is not third
    assert len(third.get_ca_certs()) == len(other.get_ca_certs()) + 1


def test_the_registrys_certificates_count_where_it_leads(directory: Path, own: Certificate) -> None:
    certificates = Certificates([directory.parent])
    shutil.copy(own.certificate, directory / "ca.crt")

    led = certificates.context(Address("https", "storage.example", 443, registry="example.com"))
    alone = certificates.context(Address("https", "storage.example", 443))

    assert len(led.get_ca_certs()) == len(alone.get_ca_certs()) + 1


@pytest.mark.parametrize("name", ["example.com", "example.com:443"])
def test_the_port_of_https_may_be_named(tmp_path: Path, own: Certificate, name: str) -> None:
    (tmp_path / name).mkdir()
    shutil.copy(own.certificate, tmp_path / name / "ca.crt")

    certificates = Certificates([tmp_path])

    assert certificates.context(HOST) is not certificates.context(Address("https", "other.example", 443))


@pytest.mark.parametrize("files", [["ca.crt"], ["me.cert", "me.key"]])
def test_a_file_that_is_no_certificate_is_named(directory: Path, files: list[str]) -> None:
    for file in files:
        (directory / file).write_text("nothing of the kind")

    with pytest.raises(InvalidSettingError, match=str(directory / files[0])):
        Certificates([directory.parent]).context(HOST)


def test_a_key_that_wants_a_pass_phrase_is_named_with_that(directory: Path, own: Certificate) -> None:
    shutil.copy(own.certificate, directory / "me.cert")
    locked = ["openssl", "pkcs8", "-topk8", "-passout", "pass:secret", "-in", str(own.key)]
    (directory / "me.key").write_bytes(subprocess.run(locked, check=True, capture_output=True).stdout)

    with pytest.raises(InvalidSettingError, match=f"cannot use {directory / 'me.key'}: it wants a pass phrase"):
        Certificates([directory.parent]).context(HOST)


def test_the_users_own_directories_come_first() -> None:
    found = certificate_directories({"XDG_CONFIG_HOME": "/c"}, Path("/home/me"))

    assert [str(path) for path in found] == [
        "/c/headway/certs.d",
        "/c/containers/certs.d",
        "/c/docker/certs.d",
        "/etc/headway/certs.d",
        "/etc/containers/certs.d",
        "/etc/docker/certs.d",
    ]
