"""Headway's own values and errors as JSON: what its command and its daemon say to each other under ``/headway``.

Rule 1: a value goes over as it is defined, so that both sides show the same thing; nothing is defined a second time.
Rule 2: an error arrives as the error that it was, with its facts: the exit status and the advice depend on them.
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
"""How Headway names itself, to registries and to a daemon, which tells errors on Docker's routes then as on its own."""


def encode(value: object) -> bytes:
    """Return a value as JSON; an error as it is told, and paths and whatever else JSON does not know as texts."""
    return msgspec.json.encode(value, enc_hook=_plain)


def _plain(value: object) -> object:
    return told(value) if isinstance(value, HeadwayError) else str(value)


def decode(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Return the value of `kind` that `encode` wrote.

    Raises:
        msgspec.MsgspecError: It is something else.
    """
    return msgspec.json.decode(data, type=kind, dec_hook=_made)


def as_text(name: str) -> str:
    """Return `name` as JSON can carry it: each byte that is no UTF-8 is U+FFFD, as in what Go writes.

    A file may be called anything, and a header may hold anything; Python keeps such bytes as lone surrogates.
    """
    return _NO_TEXT.sub("\ufffd", name)


def is_ours(headers: Mapping[str, str]) -> bool:
    """Tell whether a request with these headers is of Headway's own command."""
    return headers.get("User-Agent", "").startswith("headway/")


def _made(kind: type[Any], value: object) -> object:
    if issubclass(kind, HeadwayError):
        return heard(msgspec.convert(value, ToldError))
    if issubclass(kind, PurePath) and "\0" in str(value):
        raise ValueError("a path holds a NUL")  # the system's calls would say so, each in its place
    return value if kind is object else kind(value)


class ToldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error on its way.

    Attributes:
        kind: The name of its class in `headway.errors`.
        message: What it says.
        facts: Its attributes, as far as JSON knows them.
        notes: What was noted beside it.
        cause: The error at its bottom, where it has one.
    """

    kind: str
    message: str
    facts: dict[str, str | int | float | bool | None] = {}
    notes: tuple[str, ...] = ()
    cause: ToldError | None = None


def told(error: HeadwayError) -> ToldError:
    """Return an error as it is told; one of a module's own goes by the name of its nearest base."""
    known = next(kind for kind in type(error).__mro__ if getattr(errors, kind.__name__, None) is kind)
    facts = {key: value for key, value in vars(error).items() if isinstance(value, str | int | float | bool | None)}
    facts = {key: as_text(value) if isinstance(value, str) else value for key, value in facts.items()}
    cause = getattr(error, "cause", None)
    return ToldError(
        known.__name__,
        as_text(str(error)),
        facts,
        tuple(as_text(note) for note in getattr(error, "__notes__", ())),
        told(cause) if isinstance(cause, HeadwayError) else None,
    )


def heard(said: ToldError) -> HeadwayError:
    """Return the error that was told; one that this version does not know is a plain `HeadwayError`."""
    kind = getattr(errors, said.kind, HeadwayError)
    if not (isinstance(kind, type) and issubclass(kind, HeadwayError)):
        kind = HeadwayError
    try:
        facts = {key: _fact(key, value) for key, value in said.facts.items()}
    except ValueError:  # a newer version's
        kind, facts = HeadwayError, {}
    error: HeadwayError = kind.__new__(kind)
    error.args = (said.message,)
    for key, value in facts.items():
        setattr(error, key, value)
    if said.cause is not None:
        error.cause = heard(said.cause)  # type: ignore[attr-defined]  # those that have one were told with it
    for note in said.notes:
        error.add_note(note)
    return error


def _fact(key: str, value: object) -> object:
    return _ENUMS[key](value) if key in _ENUMS and value is not None else value


class EventLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of what something that takes long tells.

    Attributes:
        kind: The name of the event's class; empty in a line that tells of an error.
        event: The event.
        error: Why it ended; nothing comes behind it.
    """

    kind: str = ""
    event: msgspec.Raw = msgspec.Raw(b"null")
    error: HeadwayError | None = None

    @classmethod
    def of(cls, event: object) -> EventLine:
        """Return the line that tells of an event."""
        return cls(kind=type(event).__name__, event=msgspec.Raw(encode(event)))

    def encode(self) -> bytes:
        """Return the line as it is sent."""
        return encode(self) + b"\n"

    def heard(self, kinds: Iterable[type[T]]) -> T | None:
        """Return the event; None for one of a kind that this version does not know.

        Args:
            kinds: Those that it knows.

        Raises:
            HeadwayError: It has ended so.
            msgspec.MsgspecError: It is another version's.
        """
        if self.error is not None:
            raise self.error
        kind = next((each for each in kinds if each.__name__ == self.kind), None)
        return None if kind is None else decode(self.event, kind)
