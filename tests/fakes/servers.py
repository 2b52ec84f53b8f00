"""Real servers, run for a test on loopback and ended by their own process id."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.fakes.images import Image
from tests.faults.tls import Certificate

_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")
_START_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerRegistry:
    """A running docker-registry.

    Attributes:
        port: Where it listens on 127.0.0.1.
        storage: Its file system driver's root directory.
        certificate: What it speaks TLS with; None for plain HTTP.
        login: User and password that it asks for; None where it asks nobody.
    """

    port: int
    storage: Path
    certificate: Certificate | None = None
    login: tuple[str, str] | None = None

    @property
    def host(self) -> str:
        """``127.0.0.1:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Its base URL, without a slash at the end."""
        return f"{'https' if self.certificate else 'http'}://{self.host}"

    def push(self, image: Image, repository: str = "test/image") -> str:
        """Put an image there as it is, byte for byte; return its full name.

        Not by skopeo, which takes no Docker media types from a layout.
        """
        client = self._client()
        try:
            for digest, data in image.blobs.items():
                if digest not in image.media_types:
                    _put_blob(client, repository, digest, data, self._headers())
            below = [digest for digest in image.media_types if digest != image.manifest_digest]
            for digest, reference in [*((each, each) for each in below), (image.manifest_digest, image.tag)]:
                headers = {"Content-Type": image.media_types[digest], **self._headers()}
                path = f"/v2/{repository}/manifests/{reference}"
                _ask(client, "PUT", path, image.blobs[digest], headers)
        finally:
            client.close()
        return f"{self.host}/{repository}:{image.tag}"

    def push_layout(self, layout: Path, tag: str, repository: str = "test/image") -> str:
        """Let skopeo put an image of an OCI layout there, with every digest kept; return its full name."""
        name = f"{self.host}/{repository}:{tag}"
        skopeo(
            "copy",
            "--all",
            "--preserve-digests",
            "--dest-tls-verify=false",
            f"oci:{layout}:{tag}",
            f"docker://{name}",
        )
        return name

    def _headers(self) -> dict[str, str]:
        if self.login is None:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(":".join(self.login).encode()).decode()}

    def _client(self) -> http.client.HTTPConnection:
        if self.certificate is None:
            return http.client.HTTPConnection(self.host, timeout=30)
        trust = ssl.create_default_context(cafile=str(self.certificate.certificate))
        trust.check_hostname = False  # its certificate may be for a name that only a test knows
        return http.client.HTTPSConnection(self.host, timeout=30, context=trust)


@contextlib.contextmanager
def docker_registry(
    directory: Path,
    *,
    certificate: Certificate | None = None,
    proxy_of: str = "",
    login: tuple[str, str] | None = None,
    clients: Certificate | None = None,
    storage: Path | None = None,
    auth: Mapping[str, Any] | None = None,
) -> Iterator[DockerRegistry]:
    """Run Debian's docker-registry on a free port until the block ends.

    Args:
        directory: Where its configuration, log and storage go.
        certificate: Speak TLS with this one.
        proxy_of: URL of a registry that it is a pull-through cache of; nothing can be pushed then.
        login: Let in nobody but this user with this password.
        clients: Let in only who shows this certificate.
        storage: Of another registry, to serve what that has.
        auth: The part of its configuration that says who may do what.
    """
    directory.mkdir(parents=True, exist_ok=True)
    storage = storage or directory / "storage"
    config, log = directory / "config.yml", directory / "registry.log"
    configuration = _configuration(storage, certificate, proxy_of)
    if auth is not None:
        configuration["auth"] = auth
    if clients is not None:
        configuration["http"]["tls"]["clientcas"] = [str(clients.certificate)]
    if login is not None:
        users = directory / "htpasswd"
        users.write_text(f"{login[0]}:{_bcrypt(login[1])}\n")
        configuration["auth"] = {"htpasswd": {"realm": "test", "path": str(users)}}
    config.write_text(json.dumps(configuration))  # JSON is YAML
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=output, stderr=subprocess.STDOUT, cwd=directory
        )
    try:
        yield DockerRegistry(port=_await_port(process, log), storage=storage, certificate=certificate, login=login)
    finally:
        process.kill()  # it waits for open connections when asked politely
        process.wait()


def skopeo(*arguments: str) -> str:
    """Run skopeo and return what it printed.

    Raises:
        AssertionError: It failed; the message is what it said.
    """
    done = subprocess.run(["skopeo", "--insecure-policy", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _bcrypt(password: str) -> str:
    """Return the only kind of hash that docker-registry takes; the C library knows it, and Perl lends it."""
    said = subprocess.run(
        ["perl", "-e", "print crypt($ARGV[0], $ARGV[1])", password, "$2y$05$abcdefghijklmnopqrstuu"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return said.stdout


def _put_blob(
    client: http.client.HTTPConnection, repository: str, digest: str, data: bytes, own: Mapping[str, str]
) -> None:
    """Upload a blob in one piece (distribution-spec, "POST then PUT")."""
    location = urlsplit(_ask(client, "POST", f"/v2/{repository}/blobs/uploads/", headers=own)["Location"])
    headers = {"Content-Type": "application/octet-stream", **own}
    _ask(client, "PUT", f"{location.path}?{location.query}&digest={digest}", data, headers)


def _ask(
    client: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> http.client.HTTPMessage:
    """Send one request and return the headers of its answer."""
    client.request(method, path, body=body, headers=headers or {})
    response = client.getresponse()
    said = response.read()
    assert response.status in {201, 202}, said
    return response.headers


def _configuration(storage: Path, certificate: Certificate | None, proxy_of: str) -> dict[str, Any]:
    listener: dict[str, Any] = {"addr": "127.0.0.1:0", "secret": "test"}
    if certificate is not None:
        listener["tls"] = {"certificate": str(certificate.certificate), "key": str(certificate.key)}
    configuration: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(storage)},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": listener,
    }
    if proxy_of:
        configuration["proxy"] = {"remoteurl": proxy_of}
    return configuration


def _await_port(process: subprocess.Popen[bytes], log: Path) -> int:
    """Return the port that it chose, which its log tells once it listens."""
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if found := _LISTENING.search(log.read_text()):
            return int(found[1])
        time.sleep(0.01)
    raise AssertionError(f"docker-registry does not start:\n{log.read_text()}")
