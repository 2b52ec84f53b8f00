"""What an answer's headers say, read as strictly as its use demands."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from headway.distribution.endpoints import Endpoint
from headway.distribution.skipping import RangeRefusedError
from headway.errors import InvalidDigestError, MisbehavedError
from headway.oci.digest import Digest
from headway.registry.address import Address, split_url, target_of
from headway.registry.exchange import Exchange

T = TypeVar("T")
MAX_REDIRECTS = 10
_REDIRECTS = {301, 302, 303, 307, 308}
_UNSATISFIED = re.compile(r"(?i:bytes) \*/(\d{1,18})\Z")
_CONTENT_RANGE = re.compile(r"(?i:bytes) (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)\Z")


def media_type_of(exchange: Exchange) -> str:
    """Return what the body is said to be, without parameters, in small letters."""
    return exchange.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def who_answered(exchange: Exchange, host: str) -> str:
    """Return who is to be named for an answer: whoever `host` has led to, such as its storage, or else itself."""
    return str(exchange.address) if exchange.address.led_by else host


def is_encoded(exchange: Exchange) -> bool:
    """Tell whether the body is said to be encoded; some say so of what is compressed by itself."""
    return _encoding_of(exchange) not in ("", "identity")


def encoded(what: str, exchange: Exchange, endpoint: Endpoint) -> MisbehavedError:
    """Return the error for a body that is encoded, and not only said to be."""
    said = f"sends {what} encoded as {_encoding_of(exchange)!r}, which it was not asked for (a proxy in between?)"
    return MisbehavedError(endpoint.host, said)


def _encoding_of(exchange: Exchange) -> str:
    return exchange.headers.get("Content-Encoding", "").strip().lower()


def validator_of(exchange: Exchange) -> str:
    """Return what tells this version of a file from others: its ETag, or else when it was last changed (RFC 9110)."""
    return exchange.headers.get("ETag") or exchange.headers.get("Last-Modified") or ""


def digest_header(exchange: Exchange, endpoint: Endpoint) -> Digest | None:
    """Return the digest that the registry says the body has, None where it says nothing.

    Raises:
        MisbehavedError: What it says is no digest.
    """
    text = exchange.headers.get("Docker-Content-Digest")
    if not text:
        return None
    try:
        return Digest.parse(text.strip())
    except InvalidDigestError:
        raise MisbehavedError(endpoint.host, "sends a Docker-Content-Digest that is not a digest") from None


def content_range(exchange: Exchange, host: str) -> tuple[int, int, int | None]:
    """Return first byte, last byte and, where it is known, the size of the whole (RFC 9110 section 14.4).

    Raises:
        RangeRefusedError: The header is missing or cannot be read.
    """
    text = exchange.headers.get("Content-Range", "")
    match = _CONTENT_RANGE.match(text.strip())
    if match is None:
        raise RangeRefusedError(host, f"answers HTTP 206 with Content-Range {text[:80]!r}")
    return int(match[1]), int(match[2]), None if match[3] == "*" else int(match[3])


def size_beside(exchange: Exchange) -> int | None:
    """Return the size of the whole that an HTTP 416 says, None where it says none (RFC 9110 section 14.4)."""
    match = _UNSATISFIED.match(exchange.headers.get("Content-Range", "").strip())
    return int(match[1]) if match is not None else None


def redirected_to(exchange: Exchange, target: str) -> tuple[Address, str] | None:
    """Return whom an answer sends us to, and with which path and query; None where it is no redirect.

    Args:
        exchange: The answer.
        target: Path and query that were asked for.

    Raises:
        MisbehavedError: What it names is no URL of HTTP.
    """
    location = exchange.headers.get("Location")
    if exchange.status not in _REDIRECTS or location is None:
        return None
    here = exchange.address
    url = split_url(location, f"{here.scheme}://{here}{target}")
    if url is None:
        raise MisbehavedError(str(here), "redirects to something that is not HTTP")
    authority = url.netloc.rpartition("@")[2]
    return Address.parse(url.scheme, authority, verify=here.verify, registry=here.registry), target_of(url)


def decode_json(data: bytes, kind: type[T]) -> T:
    """Return the JSON that a server sent.

    Raises:
        ValueError: It is none, something else than `kind`, no text, or nested too deeply.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except RecursionError:
        raise ValueError("nested too deeply") from None
