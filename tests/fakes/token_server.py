"""A token server that a real docker-registry trusts: it signs what the distribution project's specification says."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fakes.http_server import Answerer, running
from tests.faults.tls import Certificate

ISSUER, SERVICE = "headway-test", "registry.test"


@dataclass(slots=True)
class TokenServer:
    """A running token server.

    Attributes:
        signer: What it signs with; the registry trusts its certificate.
        login: User and password that it gives tokens to.
        lifetime_seconds: How long a token is good for.
        scopes: What was asked for, in order, several with a space between; empty where a request named none.
    """

    signer: Certificate
    login: tuple[str, str]
    lifetime_seconds: int = 300
    url: str = ""
    scopes: list[str] = field(default_factory=list)

    def configuration(self) -> dict[str, Any]:
        """Return the part of a docker-registry's configuration that makes it trust this server."""
        bundle = str(self.signer.certificate)
        return {"token": {"realm": self.url, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": bundle}}

    def token(self, scopes: Sequence[str]) -> str:
        """Return a token for some scopes."""
        access = [_access(scope) for scope in scopes]
        now = int(time.time())
        times = {"iat": now, "nbf": now - 10, "exp": now + self.lifetime_seconds}
        claims = {"iss": ISSUER, "sub": self.login[0], "aud": SERVICE, "jti": str(time.time_ns()), "access": access}
        chain = [base64.b64encode(ssl.PEM_cert_to_DER_cert(self.signer.certificate.read_text())).decode()]
        header = {"typ": "JWT", "alg": "ES256", "x5c": chain}
        signed = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps({**claims, **times}).encode())}"
        return f"{signed}.{_encoded(self._signature(signed.encode()))}"

    def _signature(self, data: bytes) -> bytes:
        """Return an ES256 signature: openssl gives two numbers as DER, a token wants 32 bytes of each."""
        done = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self.signer.key], input=data, capture_output=True, check=True
        )
        first = done.stdout[4 : 4 + done.stdout[3]]
        second = done.stdout[6 + len(first) :]
        return b"".join(number.lstrip(b"\0").rjust(32, b"\0") for number in (first, second))


@contextlib.contextmanager
def token_server(signer: Certificate, login: tuple[str, str], *, anonymous: bool = False) -> Iterator[TokenServer]:
    """Run one on loopback until the block ends; `anonymous` gives tokens to who shows no login, too."""
    server = TokenServer(signer, login)

    class Handler(Answerer):
        def respond(self) -> None:
            scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
            server.scopes.append(" ".join(scopes))
            right = "Basic " + base64.b64encode(":".join(login).encode()).decode()
            allowed = self.headers.get("Authorization", right if anonymous else "") == right
            answer = {"token": server.token(scopes), "expires_in": server.lifetime_seconds} if allowed else {}
            self.answer(200 if allowed else 401, json.dumps(answer).encode())

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{listener.server_port}/token"
    with running(listener):
        yield server


def _access(scope: str) -> dict[str, Any]:
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    return {"type": kind, "name": name, "actions": actions.split(",")}


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
