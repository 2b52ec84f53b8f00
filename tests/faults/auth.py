"""Who may pull from the scripted registry: Basic, or Bearer tokens from its own ``/token``.

As the distribution project's token specification has it: a refused request names realm, service and scope, a
token is good for the scopes it was given for, and only for its time.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qs

from tests.faults.reply import Reply
from tests.faults.request import Request


class Auth(Protocol):
    """Checks requests for content, and answers those for tokens."""

    def challenge(self, request: Request, base_url: str) -> str | None:
        """Return None where the request may pass, else the WWW-Authenticate header to refuse it with."""

    def grant(self, request: Request, reply: Reply) -> None:
        """Answer a request for a token."""

    def expire_tokens(self, seconds: float) -> None:
        """Let every token given out so far expire in so many seconds."""


@dataclass(frozen=True, slots=True)
class Basic:
    """One user with a password, in every request."""

    user: str
    password: str

    def challenge(self, request: Request, base_url: str) -> str | None:
        """Refuse everything without the right credentials."""
        del base_url
        right = _basic(self.user, self.password)
        return None if request.headers.get("authorization") == right else 'Basic realm="test"'

    def grant(self, request: Request, reply: Reply) -> None:
        """There are no tokens."""
        del request
        reply.become(404)

    def expire_tokens(self, seconds: float) -> None:
        """There are no tokens."""


@dataclass(slots=True)
class Bearer:
    """Tokens from ``/token``: by GET, and by POST as OAuth 2 has it.

    Attributes:
        lifetime_seconds: How long a token is good for.
        user: Who gets one; everybody where it is empty.
        password: Of `user`.
        identity_token: What a POST may show instead of the password; a GET gets it that asks for `offline_token`.
        service: Name of the service in the challenge.
        legacy_field: Answer with ``access_token`` only, not with ``token``.
    """

    lifetime_seconds: float = 300.0
    user: str = ""
    password: str = ""
    identity_token: str = ""
    service: str = "registry.test"
    legacy_field: bool = False
    _tokens: dict[str, tuple[frozenset[str], float]] = field(default_factory=dict)

    def challenge(self, request: Request, base_url: str) -> str | None:
        """Refuse a request whose token is missing, unknown, expired, or for another scope."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        action = "pull" if request.method in {"GET", "HEAD"} else "pull,push"
        wanted = f"repository:{request.repository}:{action}" if request.repository else ""
        header = f'Bearer realm="{base_url}/token",service="{self.service}"'
        if wanted:
            header += f',scope="{wanted}"'
        if not token or scheme.lower() != "bearer":
            return header
        scopes, expires = self._tokens.get(token, (frozenset(), 0.0))
        if time.monotonic() >= expires:
            return header + ',error="invalid_token"'
        return None if not wanted or _allows(scopes, wanted) else header + ',error="insufficient_scope"'

    def grant(self, request: Request, reply: Reply) -> None:
        """Give a token for the scopes asked for, or 401."""
        form = {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
        asked = form or request.query
        if not self._knows(request, form):
            reply.become(401, b'{"errors":[{"code":"UNAUTHORIZED"}]}', {"Content-Type": "application/json"})
            return
        token = secrets.token_urlsafe(24)
        scopes = frozenset(asked.get("scope", "").split())
        self._tokens[token] = (scopes, time.monotonic() + self.lifetime_seconds)
        answer: dict[str, object] = {"access_token": token, "expires_in": int(self.lifetime_seconds)}
        if not self.legacy_field:
            answer["token"] = token
        if self.identity_token and asked.get("offline_token") == "true":
            answer["refresh_token"] = self.identity_token
        reply.become(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def expire_tokens(self, seconds: float) -> None:
        """Let every token given out so far expire in so many seconds."""
        latest = time.monotonic() + seconds
        self._tokens = {
            token: (scopes, min(expires, latest)) for token, (scopes, expires) in list(self._tokens.items())
        }

    def _knows(self, request: Request, form: dict[str, str]) -> bool:
        if not self.user:
            return True
        if form.get("grant_type") == "refresh_token":
            return bool(self.identity_token) and form.get("refresh_token") == self.identity_token
        if form.get("grant_type") == "password":
            return (form.get("username"), form.get("password")) == (self.user, self.password)
        return request.headers.get("authorization") == _basic(self.user, self.password)


def _allows(scopes: frozenset[str], wanted: str) -> bool:
    """Tell whether a token's scopes have everything that is wanted: a push may pull, too."""
    resource, _, actions = wanted.rpartition(":")
    allowed = {
        action
        for scope in scopes
        if scope.rpartition(":")[0] == resource
        for action in scope.rpartition(":")[2].split(",")
    }
    return allowed >= set(actions.split(","))


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
