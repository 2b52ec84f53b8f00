"""Answers to a registry's challenges: Basic, and Bearer tokens from its token server (moby-behaviour 3.8).

Rule 1: a token is asked for when a registry demands one, and used until it expires or is refused.
Rule 2: credentials are looked up when a registry demands them, not before; a helper may have to be started for that.
Rule 3: tokens live in memory only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from headway.distribution.challenge import Access, Challenge, choose_challenge, parse_challenges
from headway.distribution.credentials import Credentials
from headway.distribution.endpoints import Endpoint
from headway.distribution.recent import Recent
from headway.errors import (
    Fault,
    HeadwayError,
    InvalidSettingError,
    RefusedError,
    RejectedError,
    UnreachableError,
)
from headway.registry.credentials import CredentialSource
from headway.registry.exchange import Exchange
from headway.registry.token_server import WRONG, Token, TokenServers, fits_a_header
from headway.registry.transport import Transport


class _Demand(msgspec.Struct, frozen=True):
    """How a registry wants to be asked.

    Attributes:
        challenge: As it said.
        is_doubted: Whether it has led to no token: there may be another one by now.
        was_cut: Whether the last connection to the token server broke: once, that is the link's fault.
    """

    challenge: Challenge
    is_doubted: bool = False
    was_cut: bool = False


_Asker: TypeAlias = tuple[str, Access, Credentials | None]
"""Host, what for, and the login that came with the request, if one did: nobody uses the token of somebody else."""


class Authorizer:
    """Knows how each registry wants to be asked.

    Args:
        transport: Carries the requests to token servers.
        credentials: Who we are, by host and repository.
        clock: Monotonic time, in seconds.
        offline: Ask token servers for an identity token too, as a login does.

    Attributes:
        identity_token: What a token server gave for an `offline` request; empty where none did.
    """

    def __init__(
        self,
        transport: Transport,
        credentials: CredentialSource,
        clock: Callable[[], float] = time.monotonic,
        *,
        offline: bool = False,
    ) -> None:
        self.identity_token = ""
        self._servers = TokenServers(transport, offline=offline)
        self._credentials = credentials
        self._clock = clock
        self._demands: Recent[str, _Demand] = Recent()
        self._basic: Recent[_Asker, str] = Recent()
        self._tokens: Recent[_Asker, tuple[str, float]] = Recent()
        self._turns: Recent[_Asker, threading.Lock] = Recent()
        self._lock = threading.Lock()

    def header(self, endpoint: Endpoint, access: Access, begin: Callable[[Exchange], Exchange]) -> str | None:
        """Return the ``Authorization`` header to send, as far as the registry's wishes are known; may ask for a token.

        Args:
            endpoint: Who is asked.
            access: What for.
            begin: Takes charge of the exchange with the token server: whoever aborts the request aborts that too.

        Raises:
            RefusedError: The token server refuses.
            UnreachableError: It cannot be reached.
            MisbehavedError: Its answer has no token.
            InvalidSettingError: Credentials cannot be read, or no header can hold them.
        """
        if endpoint.login is not None and endpoint.login.registry_token:
            if not fits_a_header(endpoint.login.registry_token):
                raise InvalidSettingError("the registry token that came with the login is not one")
            return f"Bearer {endpoint.login.registry_token}"
        demand = self._demands.get(endpoint.host)
        if demand is None or demand.is_doubted:
            return None
        key = endpoint.host, access, endpoint.login
        if demand.challenge.scheme == "basic":
            if key not in self._basic and (known := self._known(endpoint, access)) is not None:
                self._basic[key] = known.basic()
            return self._basic.get(key)
        with self._lock:
            turn = self._turns.get(key)
            if turn is None:
                turn = self._turns[key] = threading.Lock()
        with turn:  # one request per token: the others then use its result
            token, expires = self._tokens.get(key, ("", 0.0))
            if not token or self._clock() >= expires:
                fetched = self._fetch_token(endpoint, demand, access, begin)
                token = fetched.text
                self._remember(key, token, self._clock() + fetched.seconds)
        return f"Bearer {token}"

    def _remember(self, key: _Asker, token: str, expires: float) -> None:
        """Keep a token; those that have expired go: a daemon would have one of each image that it ever asked for."""
        with self._lock:
            now = self._clock()
            for other, (_, until) in list(self._tokens.items()):
                if until <= now and other != key:
                    del self._tokens[other]
                    self._turns.pop(other, None)
            self._tokens[key] = token, expires

    def challenged(self, endpoint: Endpoint, access: Access, headers: list[str], sent: str | None) -> bool:
        """Take in a 401; tell whether asking again makes sense. One without a challenge means the one known before.

        Args:
            endpoint: Who answered.
            access: What for.
            headers: Its ``WWW-Authenticate`` headers.
            sent: The ``Authorization`` header that it refused.
        """
        before = self._demands.get(endpoint.host)
        challenge = choose_challenge(parse_challenges(headers)) or (before.challenge if before is not None else None)
        if challenge is None or (endpoint.login is not None and endpoint.login.registry_token):
            return False
        demand = _Demand(challenge)
        if demand != before:
            self._demands[endpoint.host] = demand
        key = endpoint.host, access, endpoint.login
        if challenge.scheme == "basic":
            known = self._known(endpoint, access)  # another login may have been made meanwhile
            if known is None or sent == known.basic():
                return False
            self._basic[key] = known.basic()
            return True
        with self._lock:
            token, _ = self._tokens.get(key, ("", 0.0))
            if sent == f"Bearer {token}":  # otherwise nothing was sent, or another thread has a newer token by now
                self._tokens.pop(key, None)
        return True

    def refused(
        self, endpoint: Endpoint, access: Access, headers: list[str], sent: str | None
    ) -> RefusedError | RejectedError:
        """Return the error for a registry that still refuses after authentication; for the rest, see `challenged`."""
        known = self._known(endpoint, access)
        offered = parse_challenges(headers)
        if sent is None and offered and choose_challenge(offered) is None:
            schemes = ", ".join(challenge.scheme for challenge in offered)
            return RejectedError(endpoint.host, 401, f"wants a login by {schemes}, which Headway does not know")
        if sent is None and (known is not None or endpoint.host not in self._demands):
            return RejectedError(endpoint.host, 401, "wants a login, and does not say how (HTTP 401)")
        if sent is not None and sent.startswith("Bearer "):  # no password was shown to the registry
            message = "unauthorized: authentication required"
        else:
            message = f"unauthorized: {WRONG}" if known is not None else "no basic auth credentials"
        return RefusedError(endpoint.host, 401, "UNAUTHORIZED", message)

    def _known(self, endpoint: Endpoint, access: Access) -> Credentials | None:
        return endpoint.login or self._credentials(_resource(endpoint, access.repository))

    def _fetch_token(
        self, endpoint: Endpoint, demand: _Demand, access: Access, begin: Callable[[Exchange], Exchange]
    ) -> Token:
        """Return a token; the registry is asked anew who gives them where none was given."""
        known = self._known(endpoint, access)
        try:
            token = self._servers.fetch(endpoint, demand.challenge, access, known, begin)
        except HeadwayError as error:
            is_cut = _is_cut(error) and not demand.was_cut
            self._demands[endpoint.host] = _Demand(demand.challenge, is_doubted=not is_cut, was_cut=is_cut)
            raise
        if demand.was_cut:
            self._demands[endpoint.host] = _Demand(demand.challenge)
        self.identity_token = token.identity_token or self.identity_token
        return token


def _is_cut(error: HeadwayError) -> bool:
    """Tell whether it is a connection that broke: that alone says nothing of who gives tokens."""
    return isinstance(error, UnreachableError) and error.fault in (Fault.CUT, Fault.STALLED)


def _resource(endpoint: Endpoint, repository: str) -> str:
    return f"{endpoint.host}/{repository}" if repository else endpoint.host
