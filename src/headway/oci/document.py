"""Reads JSON documents that somebody else wrote; the only module of `oci` that decodes JSON.

Rule 1: the bytes are the truth. A document that is read here is never written again.
Rule 2: unknown keys are ignored. A value that Headway relies on must have the right type, or the document is refused
        with the path of that value: ``layers[2].size``.
Rule 3: as in Go, null and a missing key mean the same, and of equal keys the last one counts. Keys are matched exactly,
        while Go ignores case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, TypeVar

import msgspec

from headway.errors import InvalidDocumentError

Document: TypeAlias = Mapping[str, object]

_T = TypeVar("_T")


def decode_object(data: bytes, what: str, limit: int) -> dict[str, object]:
    """Return the JSON object that `data` holds.

    Depth is bounded by the interpreter's recursion limit, far above what any document needs.

    Args:
        data: The bytes as received.
        what: Name of the kind of document, for errors: ``manifest``.
        limit: Its largest length, in bytes.

    Raises:
        InvalidDocumentError: It is too long, not JSON, nested too deeply, or not an object.
    """
    if len(data) > limit:
        raise InvalidDocumentError(f"the {what} is {len(data)} bytes long; {limit} are allowed")
    try:
        document = msgspec.json.decode(data)
    except RecursionError:
        raise InvalidDocumentError(f"the {what} is nested too deeply") from None
    except ValueError as error:  # msgspec.DecodeError and UnicodeDecodeError
        raise InvalidDocumentError(f"the {what} is not JSON: {error}") from None
    return as_object(document, f"the {what}")


def as_object(value: object, where: str) -> dict[str, object]:
    """Return `value` as an object.

    Raises:
        InvalidDocumentError: It is something else.
    """
    if not isinstance(value, dict):
        raise InvalidDocumentError(f"{where} must be an object, not {_name(value)}")
    return value


def join(where: str, key: str) -> str:
    """Return the path of `key` inside `where`; the document itself is the empty path."""
    return f"{where}.{key}" if where else key


def text_at(document: Document, key: str, where: str = "") -> str:
    """Return a string, empty where there is none.

    Raises:
        InvalidDocumentError: It is something else.
    """
    return _typed(document.get(key), str, "a string", join(where, key), default="")


def flag_at(document: Document, key: str, where: str = "") -> bool:
    """Return a boolean, false where there is none.

    Raises:
        InvalidDocumentError: It is something else.
    """
    return _typed(document.get(key), bool, "true or false", join(where, key), default=False)


def list_at(document: Document, key: str, where: str = "") -> list[object]:
    """Return a list, empty where there is none.

    Raises:
        InvalidDocumentError: It is something else.
    """
    return _typed(document.get(key), list, "a list", join(where, key), default=[])


def object_at(document: Document, key: str, where: str = "") -> dict[str, object]:
    """Return an object, empty where there is none.

    Raises:
        InvalidDocumentError: It is something else.
    """
    value = document.get(key)
    return {} if value is None else as_object(value, join(where, key))


def texts_at(document: Document, key: str, where: str = "") -> tuple[str, ...]:
    """Return a list of strings, empty where there is none.

    Raises:
        InvalidDocumentError: It is something else.
    """
    path = join(where, key)
    return tuple(
        _typed(value, str, "a string", f"{path}[{index}]", default="")
        for index, value in enumerate(list_at(document, key, where))
    )


def text_map_at(document: Document, key: str, where: str = "") -> dict[str, str]:
    """Return an object whose values are strings, empty where there is none.

    Raises:
        InvalidDocumentError: It is something else.
    """
    mapping = object_at(document, key, where)
    path = join(where, key)
    return {name: text_at(mapping, name, path) for name in mapping}


def _typed(value: object, kind: type[_T], name: str, where: str, *, default: _T) -> _T:
    if value is None:
        return default
    if not isinstance(value, kind):
        raise InvalidDocumentError(f"{where} must be {name}, not {_name(value)}")
    return value


def _name(value: object) -> str:
    """Return JSON's name of the type of `value`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    names: dict[type, str] = {dict: "an object", list: "a list", str: "a string"}
    return names.get(type(value), "a number")
