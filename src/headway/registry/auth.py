"""Answers to a registry's challenges: Basic, and Bearer tokens from its token server (moby-behaviour 3.8).

Rule 1: a token is asked for when a registry demands one, and used until it expires or is refused.
Rule 2: tokens live in memory only.
"""

from __future__ import annotations

import threading
import time
import urllib.parse
from collections.abc import Callable

import msgspec

from headway.distribution.challenge import Challenge, choose_challenge, parse_challenges
from headway.distribution.endpoints import Endpoint
from headway.errors import MisbehavedError, RefusedError
from headway.registry.connection import Address, split_url
from headway.registry.credentials import Credentials, CredentialSource
from headway.registry.failures import failure
from headway.registry.http import Exchange, HttpClient

MIN_TOKEN_SECONDS = 60
_MAX_TOKEN_BYTES = 1 << 20
_EARLY_SECONDS = 5


class Authorizer:
    """Knows how each registry wants to be asked.

    Args:
        client: Carries the requests to token servers.
        credentials: Who we are, by host.
        clock: Monotonic time, in seconds.
    """

    def __init__(
        self, client: HttpClient, credentials: CredentialSource, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._clock = clock
        self._challenges: dict[str, Challenge] = {}
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}
        self._turns: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def header(self, endpoint: Endpoint, scope: str, begin: Callable[[Exchange], Exchange]) -> str | None:
        """Return the ``Authorization`` header to send, as far as the registry's wishes are known; may ask for a token.

        Args:
            endpoint: Who is asked.
            scope: What is wanted.
            begin: Takes charge of the exchange with the token server: whoever aborts the request aborts that too.

        Raises:
            RefusedError: The token server refuses.
            UnreachableError: It cannot be reached.
            MisbehavedError: Its answer has no token.
        """
        challenge = self._challenges.get(endpoint.host)
        if challenge is None:
            return None
        if challenge.scheme == "basic":
            known = self._credentials(endpoint.host)
            return known.basic() if known is not None else None
        key = endpoint.host, scope
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:  # one request per token: the others then use its result
            token, expires = self._tokens.get(key, ("", 0.0))
            if not token or self._clock() >= expires:
                token, seconds = self._fetch_token(endpoint, challenge, scope, begin)
                self._tokens[key] = token, self._clock() + seconds
        return f"Bearer {token}"

    def challenged(self, endpoint: Endpoint, scope: str, headers: list[str], sent: str | None) -> bool:
        """Take in a 401; tell whether asking again makes sense.

        Args:
            endpoint: Who answered.
            scope: What was wanted.
            headers: Its ``WWW-Authenticate`` headers.
            sent: The ``Authorization`` header that it refused.
        """
        challenge = choose_challenge(parse_challenges(headers))
        if challenge is None:
            return False
        self._challenges[endpoint.host] = challenge
        if challenge.scheme == "basic":
            known = self._credentials(endpoint.host)
            return known is not None and sent != known.basic()
        with self._lock:
            token, _ = self._tokens.get((endpoint.host, scope), ("", 0.0))
            if sent == f"Bearer {token}":  # otherwise nothing was sent, or another thread has a newer token by now
                self._tokens.pop((endpoint.host, scope), None)
        return True

    def _fetch_token(
        self, endpoint: Endpoint, challenge: Challenge, scope: str, begin: Callable[[Exchange], Exchange]
    ) -> tuple[str, float]:
        realm = split_url(challenge.parameters.get("realm", ""))
        if realm is None:
            raise MisbehavedError(endpoint.host, "demands a token but does not say where to get one")
        known = self._credentials(endpoint.host)
        if known is not None and realm.scheme == "http" and endpoint.secure:
            raise MisbehavedError(endpoint.host, "wants the password sent to a token server without TLS")
        service = challenge.parameters.get("service", "")
        method, target, headers, body = _token_request(realm, service, scope, known)
        address = Address.parse(realm.scheme, realm.netloc.rpartition("@")[2], verify=endpoint.secure)
        exchange = begin(self._client.exchange(address, method, target, headers, body))
        exchange.send()
        if exchange.status != 200:
            raise failure(str(address), exchange, what="token", name=scope)
        return _token(exchange.read_up_to(_MAX_TOKEN_BYTES), str(address))


def _token_request(
    realm: urllib.parse.SplitResult, service: str, scope: str, known: Credentials | None
) -> tuple[str, str, dict[str, str], bytes | None]:
    path = realm.path or "/"
    if known is not None and known.identity_token:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": known.identity_token,
            "service": service,
            "scope": scope,
            "client_id": "headway",
        }
        target = f"{path}?{realm.query}" if realm.query else path
        return (
            "POST",
            target,
            {"Content-Type": "application/x-www-form-urlencoded"},
            urllib.parse.urlencode(form).encode(),
        )
    query = [*urllib.parse.parse_qsl(realm.query), ("service", service), ("scope", scope)]
    if known is not None:
        query.append(("account", known.username))
    headers = {"Authorization": known.basic()} if known is not None else {}
    return "GET", f"{path}?{urllib.parse.urlencode([pair for pair in query if pair[1]])}", headers, None


def _token(data: bytes, endpoint: str) -> tuple[str, float]:
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        document = None
    if not isinstance(document, dict):
        raise MisbehavedError(endpoint, "the token server's answer is not a JSON object")
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise MisbehavedError(endpoint, "authorization server did not include a token in the response")
    seconds = document.get("expires_in")
    lifetime = max(MIN_TOKEN_SECONDS, seconds) if isinstance(seconds, int) else MIN_TOKEN_SECONDS
    return token, lifetime - _EARLY_SECONDS


def unauthorized(endpoint: Endpoint, *, had_credentials: bool) -> RefusedError:
    """Return the error for a registry that still refuses after authentication."""
    message = "unauthorized: incorrect username or password" if had_credentials else "no basic auth credentials"
    return RefusedError(endpoint.host, 401, "UNAUTHORIZED", message)
