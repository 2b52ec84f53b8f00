"""Turns an HTTP status into an error that says whose fault it is (distribution-spec, "Error codes")."""

from __future__ import annotations

import time

from headway.errors import (
    DigestMismatchError,
    HeadwayError,
    MisbehavedError,
    NotFoundError,
    RefusedError,
    RejectedError,
    Side,
    ThrottledError,
    UnavailableError,
    WebPageError,
)
from headway.registry.answers import decode_json, who_answered
from headway.registry.distrust import seconds_of
from headway.registry.exchange import Exchange

MAX_ERROR_BYTES = 64 * 1024
MAX_MESSAGE_CHARACTERS = 300
MAX_RETRY_AFTER_SECONDS = 24 * 3600.0
_QUESTIONS = frozenset(("manifest", "repository", "token"))  # requests that would be the same at the next attempt
_UNABLE = (402, 451, 501, 505)
"""The server will not or cannot fulfil the request, now or later (RFC 9110, 15.5.3, 15.6.2 and 15.6.6; RFC 7725)."""
_FINAL = frozenset(
    ("NAME_INVALID", "NAME_UNKNOWN", "TAG_INVALID", "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "UNSUPPORTED")
)
"""Error codes of the specification for which another attempt is pointless."""
_OAUTH_REFUSALS = ("invalid_grant", "invalid_client", "unauthorized_client", "access_denied")
"""Error codes with which token servers, with HTTP 400, refuse a login (RFC 6749, section 5.2)."""


def failure(endpoint: str, exchange: Exchange, *, what: str, name: str) -> HeadwayError:
    """Return the error that an answer means.

    Args:
        endpoint: Host that was asked.
        exchange: Its answer; the body may hold distribution-spec errors.
        what: What the request was about, in a word: ``manifest``, ``blob``, ``repository``, ``token``, ``upload``.
        name: Its name.
    """
    body = exchange.read_soon(MAX_ERROR_BYTES)  # if it does not come, the status has to do
    status, headers = exchange.status, exchange.headers
    code, message = _first_error(body, what)
    text = f"{code.lower().replace('_', ' ')}: {message}" if code and message else message or code.lower()
    # A date in Retry-After is by the server's clock, from which ours may differ.
    retry_after = retry_after_seconds(headers.get("Retry-After"), now=seconds_of(headers.get("Date")) or time.time())
    match status:
        case 429:
            return ThrottledError(endpoint, retry_after, text)
        case 401 | 403:
            if what == "blob" and not code:
                # A refusal by a CDN (XML, not a registry's error), most often since a signed URL has expired.
                return MisbehavedError(endpoint, f"a storage server behind it answers HTTP {status}")
            return RefusedError(endpoint, status, code, text)
        case 404 | 410 if what != "token":
            return _missing(what, name, text)
        case 400 if code == "DIGEST_INVALID":
            return DigestMismatchError("what arrived", name, None, endpoint)
        case _ if (status >= 500 and status not in _UNABLE) or status == 408:
            # HTTP 511 comes from a network that wants a login, never from a registry (RFC 6585, section 6).
            who = who_answered(exchange, endpoint)
            return WebPageError(who) if status == 511 else UnavailableError(who, status, retry_after)
    return _not_taken(endpoint, status, code, text, what)


def _not_taken(endpoint: str, status: int, code: str, text: str, what: str) -> HeadwayError:
    """Return the error for an answer whose status alone does not tell."""
    said = f"answers HTTP {status}" + (f" ({text})" if text else "")
    if what == "token" and status == 400 and code in _OAUTH_REFUSALS:
        return RefusedError(endpoint, status, code, text)
    is_final = code in _FINAL or (what == "token" and status == 404)  # a token server that does not exist
    if status in _UNABLE or (400 <= status < 500 and what in _QUESTIONS and is_final):
        return RejectedError(endpoint, status, said)
    return MisbehavedError(endpoint, said)


def _missing(what: str, name: str, text: str) -> NotFoundError:
    error = NotFoundError(what, name, text)
    if what == "blob":
        error.side = Side.REGISTRY  # the registry's own manifest lists this blob
    return error


def _first_error(body: bytes, what: str) -> tuple[str, str]:
    try:
        document = decode_json(body, object)
    except ValueError:
        return "", ""
    if not isinstance(document, dict):
        return "", ""
    errors = document.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else document
    if not isinstance(first, dict):
        return "", ""
    code, message = _text(first.get("code")), _text(first.get("message") or first.get("details"))
    if what == "token" and not code:  # RFC 6749, section 5.2; many servers add a message
        return _text(first.get("error")), _text(first.get("error_description")) or message
    return code, message


def _text(value: object) -> str:
    """Return a text that a registry sent, shortened and safe for a terminal."""
    text = value[:MAX_MESSAGE_CHARACTERS] if isinstance(value, str) else ""
    return "".join(character if character.isprintable() else " " for character in text).strip()


def retry_after_seconds(value: str | None, *, now: float) -> float | None:
    """Return how many seconds a ``Retry-After`` header asks to wait (RFC 9110 section 10.2.3); None for none.

    Args:
        value: Seconds or an HTTP date.
        now: Seconds since the epoch.
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        return min(float(value), MAX_RETRY_AFTER_SECONDS)
    date = seconds_of(value)
    return None if date is None else min(max(0.0, date - now), MAX_RETRY_AFTER_SECONDS)
