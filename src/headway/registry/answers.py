"""Reads the headers of an answer, as strictly as their use demands, and its JSON."""

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
    """Return the media type that ``Content-Type`` names, without parameters, in lower case."""
    return exchange.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def who_answered(exchange: Exchange, host: str) -> str:
    """Return the host to name in messages about an answer: the one that `host` redirected to, or `host` itself."""
    return str(exchange.address) if exchange.address.led_by else host


def is_encoded(exchange: Exchange) -> bool:
    """Tell whether ``Content-Encoding`` names a coding; some servers name one just because the blob is compressed."""
    return _encoding_of(exchange) not in ("", "identity")


def encoded(what: str, exchange: Exchange, endpoint: Endpoint) -> MisbehavedError:
    """Return the error for a body that really is encoded."""
    said = f"sends {what} encoded as {_encoding_of(exchange)!r}, which it was not asked for (a proxy in between?)"
    return MisbehavedError(endpoint.host, said)


def _encoding_of(exchange: Exchange) -> str:
    return exchange.headers.get("Content-Encoding", "").strip().lower()


def validator_of(exchange: Exchange) -> str:
    """Return what identifies this version of a file: its ETag, or else its ``Last-Modified`` (RFC 9110 section 8.8)."""
    return exchange.headers.get("ETag") or exchange.headers.get("Last-Modified") or ""


def digest_header(exchange: Exchange, endpoint: Endpoint) -> Digest | None:
    """Return the digest in ``Docker-Content-Digest``; None without that header.

    Raises:
        MisbehavedError: Its value is not a digest.
    """
    text = exchange.headers.get("Docker-Content-Digest")
    if not text:
        return None
    try:
        return Digest.parse(text.strip())
    except InvalidDigestError:
        raise MisbehavedError(endpoint.host, "sends a Docker-Content-Digest that is not a digest") from None


def content_range(exchange: Exchange, host: str) -> tuple[int, int, int | None]:
    """Return first byte, last byte and, if it is known, the size of the whole (RFC 9110 section 14.4).

    Raises:
        RangeRefusedError: ``Content-Range`` is missing or cannot be read.
    """
    text = exchange.headers.get("Content-Range", "")
    match = _CONTENT_RANGE.match(text.strip())
    if match is None:
        raise RangeRefusedError(host, f"answers HTTP 206 with Content-Range {text[:80]!r}")
    return int(match[1]), int(match[2]), None if match[3] == "*" else int(match[3])


def size_beside(exchange: Exchange) -> int | None:
    """Return the size of the whole that an HTTP 416 names; None where it names none (RFC 9110 section 14.4)."""
    match = _UNSATISFIED.match(exchange.headers.get("Content-Range", "").strip())
    return int(match[1]) if match is not None else None


def redirected_to(exchange: Exchange, target: str) -> tuple[Address, str] | None:
    """Return the address that an answer redirects to, with path and query; None if it is not a redirect.

    Args:
        exchange: The answer.
        target: Path and query of the request.

    Raises:
        MisbehavedError: ``Location`` is not an HTTP URL.
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
    """Decode JSON that a server sent.

    Raises:
        ValueError: It is not valid JSON in UTF-8, not a `kind`, or nested too deeply.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except RecursionError:
        raise ValueError("nested too deeply") from None
