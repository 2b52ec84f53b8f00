"""Token servers: what one is asked for a token, and what its answer is worth (distribution token specification).

Rule 1: a password goes to the host that the registry names, and by TLS where the registry is asked so.
Rule 2: a refusal is told as the registry's, which sends there; whatever else is wrong, as the token server's.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Mapping

import msgspec

from headway.distribution.challenge import Access, Challenge
from headway.distribution.credentials import Credentials
from headway.distribution.endpoints import Endpoint
from headway.errors import HeadwayError, MisbehavedError, RefusedError, WebPageError
from headway.registry.address import Address, split_url, target_of, with_query
from headway.registry.answers import MAX_REDIRECTS, decode_json, media_type_of, redirected_to
from headway.registry.exchange import Exchange
from headway.registry.failures import failure
from headway.registry.transport import Transport

MIN_TOKEN_SECONDS = 60
MAX_TOKEN_SECONDS = 10 * 365 * 86_400
WRONG = "incorrect username or password"
_MAX_TOKEN_BYTES = 1 << 20
_EARLY_SECONDS = 5
_SAYS_NOTHING = ("", "unauthorized", "unauthorized: authentication required", "unauthorized: unauthorized")


class Token(msgspec.Struct, frozen=True):
    """What a token server gives.

    Attributes:
        text: What registries are shown.
        seconds: How long to use it.
        identity_token: What stands in for the password from then on; empty where none came along.
    """

    text: str
    seconds: float
    identity_token: str = ""


class TokenServers:
    """Asks whomever a registry names.

    Args:
        transport: Carries the requests.
        offline: Ask for an identity token too, as a login does.
    """

    def __init__(self, transport: Transport, *, offline: bool = False) -> None:
        self._transport = transport
        self._offline = offline

    def fetch(
        self,
        endpoint: Endpoint,
        challenge: Challenge,
        access: Access,
        known: Credentials | None,
        begin: Callable[[Exchange], Exchange],
    ) -> Token:
        """Return a token that a registry wants to be shown.

        Args:
            endpoint: The registry.
            challenge: What it said.
            access: What the token is for.
            known: Who asks; None for nobody.
            begin: Takes charge of each exchange.

        Raises:
            RefusedError: The token server refuses.
            UnreachableError: It cannot be reached.
            MisbehavedError: There is none, or its answer has no token.
        """
        realm = split_url(challenge.parameters.get("realm", ""))
        if realm is None:
            raise MisbehavedError(endpoint.host, "demands a token but does not say where to get one")
        if known is not None and realm.scheme == "http" and endpoint.secure:
            raise MisbehavedError(endpoint.host, "wants the password sent to a token server without TLS")
        wanted = {"service": challenge.parameters.get("service", "")}
        if self._offline:
            wanted |= {"client_id": "headway", "offline_token": "true"}
        method, target, headers, form = _token_request(realm, wanted, access.scopes, known)
        authority = realm.netloc.rpartition("@")[2]
        address = Address.parse(realm.scheme, authority, verify=endpoint.secure, registry=endpoint.host)
        exchange = self._answer(begin, address, method, target, headers, form)
        if exchange.status != 200:
            error = failure(str(address), exchange, what="token", name=" ".join(access.scopes) or "login")
            raise _explained(error, endpoint, known)
        is_page = media_type_of(exchange) == "text/html"
        return _read(exchange.read_up_to(_MAX_TOKEN_BYTES), str(address), is_page=is_page)

    def _answer(
        self,
        begin: Callable[[Exchange], Exchange],
        address: Address,
        method: str,
        target: str,
        headers: Mapping[str, str],
        form: bytes | None,
    ) -> Exchange:
        """Return what answers in the end; a password stays at the host that it is for, a form where it was sent."""
        origin = address
        for _ in range(MAX_REDIRECTS + 1):
            is_for_it = address == origin or (address.host == origin.host and address.scheme == "https")
            sent = headers if is_for_it else {}
            exchange = begin(Exchange(self._transport, address, method, target, sent, form=form))
            exchange.send()
            following = redirected_to(exchange, target) if method == "GET" else None
            if following is None:
                return exchange
            exchange.finish()
            address, target = following
        raise MisbehavedError(str(origin), f"redirects more than {MAX_REDIRECTS} times")


def fits_a_header(text: str) -> bool:
    """Tell whether a header can hold it; http.client would show what does not in its message."""
    return text.isascii() and text.isprintable()


def _token_request(
    realm: urllib.parse.SplitResult, wanted: Mapping[str, str], scopes: tuple[str, ...], known: Credentials | None
) -> tuple[str, str, dict[str, str], bytes | None]:
    target = target_of(realm)
    if known is not None and known.identity_token:
        form = {"grant_type": "refresh_token", "refresh_token": known.identity_token, "client_id": "headway", **wanted}
        if scopes:
            form["scope"] = " ".join(scopes)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return "POST", target, headers, urllib.parse.urlencode(form).encode()
    query = [*wanted.items(), *(("scope", scope) for scope in scopes)]
    if known is not None:
        query.append(("account", known.username))
    headers = {"Authorization": known.basic()} if known is not None else {}
    return "GET", with_query(target, urllib.parse.urlencode([pair for pair in query if pair[1]])), headers, None


def _read(data: bytes, server: str, *, is_page: bool) -> Token:
    """Return what an answer holds."""
    try:
        document = decode_json(data, object)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        said = "the token server's answer is not a JSON object"
        raise WebPageError(server) if is_page else MisbehavedError(server, said)
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not fits_a_header(token):
        raise MisbehavedError(server, "authorization server did not include a token in the response")
    said_seconds = document.get("expires_in")
    seconds = said_seconds if isinstance(said_seconds, int) else MIN_TOKEN_SECONDS
    identity_token = document.get("refresh_token")
    return Token(
        token,
        min(max(MIN_TOKEN_SECONDS, seconds), MAX_TOKEN_SECONDS) - _EARLY_SECONDS,
        identity_token if isinstance(identity_token, str) else "",
    )


def _explained(error: HeadwayError, endpoint: Endpoint, known: Credentials | None) -> HeadwayError:
    """Return a token server's refusal as the registry's; those who do not say why refuse what they were shown."""
    if not isinstance(error, RefusedError):
        return error
    message = error.reason
    says_nothing = error.said.lower() in _SAYS_NOTHING or error.code == "invalid_grant"
    if error.status in (400, 401) and known is not None and says_nothing:
        message = "the saved login has expired, or was revoked" if known.identity_token else WRONG
        message = f"unauthorized: {message}"
    return RefusedError(endpoint.host, error.status, error.code, message)
