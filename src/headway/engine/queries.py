"""Parses the query of a request: booleans, numbers, filters and platforms, as Docker's clients write them.

Rule: pure text in, values out; a value that cannot be one is a `RequestError` with Moby's words (moby-behaviour 6.1).
"""

from __future__ import annotations

import re
from typing import TypeAlias
from urllib.parse import parse_qsl

import msgspec
from multidict import MultiDict, MultiMapping

from headway.errors import RequestError
from headway.oci.platform import Platform

Query: TypeAlias = MultiMapping[str]
"""A query string, taken apart; a key may stand there several times."""

MAX_FILTER_TEXT = 64 * 1024
_NO_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})[^%&;]{0,2}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")
_FALSE = frozenset(("", "0", "no", "false", "none"))


class InvalidQueryError(RequestError):
    """A parameter whose value cannot be used."""


def parameters(text: str) -> Query:
    """Take a query string apart, or a body that is written as one.

    Raises:
        InvalidQueryError: As `require_parseable`.
    """
    require_parseable(text)
    return MultiDict(parse_qsl(text, keep_blank_values=True))


def require_parseable(text: str) -> None:
    """Refuse what would mean one thing to us and another to who wrote it, in the words of Go's parser.

    Raises:
        InvalidQueryError: A percent sign begins no character, or a semicolon stands where ``&`` should.
    """
    if found := _NO_ESCAPE.search(text):
        raise InvalidQueryError(f'invalid URL escape "{found[0]}"')
    if ";" in text:
        raise InvalidQueryError("invalid semicolon separator in query")


def flag(query: Query, key: str, *, default: bool = False) -> bool:
    """Return a boolean: everything is true but nothing, ``0``, ``no``, ``false`` and ``none``."""
    if key not in query:
        return default
    return query.get(key, "").strip().lower() not in _FALSE


def number(query: Query, key: str) -> int:
    """Return a whole number; nothing is 0.

    Raises:
        InvalidQueryError: It is none.
    """
    text = query.get(key, "")
    if not text:
        return 0
    if _NUMBER.fullmatch(text):
        return int(text)
    raise InvalidQueryError(f'strconv.Atoi: parsing "{text[:80]}": invalid syntax')


def filters(query: Query) -> dict[str, list[str]]:
    """Return the ``filters`` parameter, in its present form (a map of sets) or the old one (a map of lists).

    Null asks for nothing. Which of them there are is known to what is asked (`headway.service.queries.filters`).

    Raises:
        InvalidQueryError: It is not JSON of either form.
    """
    text = query.get("filters", "")
    if not text:
        return {}
    if len(text) > MAX_FILTER_TEXT:
        raise InvalidQueryError("invalid filter: longer than 64 KiB")
    try:
        document = msgspec.json.decode(text, type=dict[str, dict[str, bool] | list[str] | None] | None)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidQueryError(f"invalid filter: {error}") from None
    return {key: list(values or ()) for key, values in (document or {}).items()}


def platform(query: Query, key: str = "platform") -> Platform | None:
    """Return the platform that a parameter names in JSON (moby-behaviour 6.5), or None.

    Raises:
        InvalidQueryError: Several, or one that is none.
    """
    texts = [text for text in query.getall(key, []) if text]
    if not texts:
        return None
    if len(texts) > 1:
        raise InvalidQueryError("multiple platform parameters not supported")
    try:
        wanted = msgspec.json.decode(texts[0], type=_PlatformDocument)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidQueryError(f"failed to parse platform: {error}") from None
    if not (wanted.os or wanted.architecture) and (wanted.variant or wanted.os_version):
        raise InvalidQueryError("optional platform fields provided, but OS and Architecture are missing")
    if not wanted.os or not wanted.architecture:
        raise InvalidQueryError("both OS and Architecture must be provided")
    return Platform.parse("/".join(part for part in (wanted.os, wanted.architecture, wanted.variant) if part))


class _PlatformDocument(msgspec.Struct, frozen=True):
    os: str = ""
    architecture: str = ""
    variant: str = ""
    os_version: str = msgspec.field(default="", name="os.version")
