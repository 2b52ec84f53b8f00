"""Real registries for the tests of this directory; `tests/peers` installs them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.servers import DockerRegistry, docker_registry
from tests.faults.tls import Certificate, make_certificate


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    """Debian's docker-registry over plain HTTP; tests share it, so each uses a repository of its own."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """What `secure_registry` speaks TLS with, and a client has to trust."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def secure_registry(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Iterator[DockerRegistry]:
    """The same over TLS."""
    with docker_registry(tmp_path_factory.mktemp("secure"), certificate=certificate) as running:
        yield running
