"""Headway's own values and errors as JSON, as its command and its daemon exchange them under ``/headway``.

Rule 1: the wire has no types of its own: a value is encoded as it is defined, so that both sides show the same.
Rule 2: an error arrives with its class and its attributes, for the exit status and the advice depend on them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import Any, TypeVar

import msgspec

from headway import errors
from headway.errors import Fault, HeadwayError, Side
from headway.version import VERSION

T = TypeVar("T")
_NO_TEXT = re.compile("[\ud800-\udfff]")
_ENUMS: dict[str, Callable[[Any], object]] = {"fault": Fault, "side": Side}

USER_AGENT = f"headway/{VERSION}"
"""How Headway names itself to servers. Its own daemon then sends errors on Docker's routes in Headway's form, too."""


def encode(value: object) -> bytes:
    """Return a value as JSON: errors as `ErrorDocument`, and paths and other types that JSON does not know as texts."""
    return msgspec.json.encode(value, enc_hook=_plain)


def _plain(value: object) -> object:
    return error_document(value) if isinstance(value, HeadwayError) else str(value)


def decode(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Return the value of `kind` that `encode` wrote.

    Raises:
        msgspec.MsgspecError: `data` is not such a value.
    """
    return msgspec.json.decode(data, type=kind, dec_hook=_made)


def as_text(name: str) -> str:
    """Return `name` with each byte that is not UTF-8 replaced by U+FFFD, as Go's JSON encoder does.

    File names and headers may hold any bytes; Python keeps those that are not UTF-8 as lone surrogates.
    """
    return _NO_TEXT.sub("\ufffd", name)


def is_ours(headers: Mapping[str, str]) -> bool:
    """Tell whether a request with these headers comes from Headway's own command."""
    return headers.get("User-Agent", "").startswith("headway/")


def _made(kind: type[Any], value: object) -> object:
    if issubclass(kind, HeadwayError):
        return error_of(msgspec.convert(value, ErrorDocument))
    if issubclass(kind, PurePath) and "\0" in str(value):
        raise ValueError("a path holds a NUL")  # refused here once, not by each system call
    return value if kind is object else kind(value)


class ErrorDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as it is sent.

    Attributes:
        kind: Name of its class in `headway.errors`.
        message: Its message.
        facts: Its attributes of types that JSON has.
        notes: Its notes (`BaseException.add_note`).
        cause: The error in its attribute ``cause``; None where it has none.
    """

    kind: str
    message: str
    facts: dict[str, str | int | float | bool | None] = {}
    notes: tuple[str, ...] = ()
    cause: ErrorDocument | None = None


def error_document(error: HeadwayError) -> ErrorDocument:
    """Return an error as it is sent; a class that `headway.errors` does not have is named by its nearest base there."""
    known = next(kind for kind in type(error).__mro__ if getattr(errors, kind.__name__, None) is kind)
    facts = {key: value for key, value in vars(error).items() if isinstance(value, str | int | float | bool | None)}
    facts = {key: as_text(value) if isinstance(value, str) else value for key, value in facts.items()}
    cause = getattr(error, "cause", None)
    return ErrorDocument(
        known.__name__,
        as_text(str(error)),
        facts,
        tuple(as_text(note) for note in getattr(error, "__notes__", ())),
        error_document(cause) if isinstance(cause, HeadwayError) else None,
    )


def error_of(document: ErrorDocument) -> HeadwayError:
    """Return the error that was sent; a class that this version does not know becomes a plain `HeadwayError`."""
    kind = getattr(errors, document.kind, HeadwayError)
    if not (isinstance(kind, type) and issubclass(kind, HeadwayError)):
        kind = HeadwayError
    try:
        facts = {key: _fact(key, value) for key, value in document.facts.items()}
    except ValueError:  # a value of a newer version
        kind, facts = HeadwayError, {}
    error: HeadwayError = kind.__new__(kind)
    error.args = (document.message,)
    for key, value in facts.items():
        setattr(error, key, value)
    if document.cause is not None:
        error.cause = error_of(document.cause)  # type: ignore[attr-defined]  # only classes that have it were sent with one
    for note in document.notes:
        error.add_note(note)
    return error


def _fact(key: str, value: object) -> object:
    return _ENUMS[key](value) if key in _ENUMS and value is not None else value


class EventLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a stream of progress events.

    Attributes:
        kind: Name of the event's class; empty in a line that carries an error.
        event: The event.
        error: Why the work failed; it is the last line.
    """

    kind: str = ""
    event: msgspec.Raw = msgspec.Raw(b"null")
    error: HeadwayError | None = None

    @classmethod
    def of(cls, event: object) -> EventLine:
        """Return the line that carries an event."""
        return cls(kind=type(event).__name__, event=msgspec.Raw(encode(event)))

    def encode(self) -> bytes:
        """Return the line as bytes, with a newline."""
        return encode(self) + b"\n"

    def decoded(self, kinds: Iterable[type[T]]) -> T | None:
        """Return the event; None for one of a class that this version does not know.

        Args:
            kinds: The classes that it knows.

        Raises:
            HeadwayError: The line carries this error.
            msgspec.MsgspecError: The event is not as this version defines it.
        """
        if self.error is not None:
            raise self.error
        kind = next((each for each in kinds if each.__name__ == self.kind), None)
        return None if kind is None else decode(self.event, kind)
