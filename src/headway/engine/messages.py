"""Docker's JSON messages, one object a line, from which its clients draw progress (moby-behaviour 3.6).

Rule: shapes only. What happened, and when it is worth a message, is decided by who calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import msgspec

from headway.units import counted

BAR_WIDTH = 50
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


class Detail(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a bar is; empty for a step without one."""

    current: int = 0
    total: int = 0


class ErrorDetail(msgspec.Struct, frozen=True):
    """A failure in the middle of a stream."""

    message: str


class Message(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One line of a stream; what is not set is left out."""

    status: str | msgspec.UnsetType = msgspec.UNSET
    stream: str | msgspec.UnsetType = msgspec.UNSET
    progress_detail: Detail | msgspec.UnsetType = msgspec.UNSET
    progress: str | msgspec.UnsetType = msgspec.UNSET
    id: str | msgspec.UnsetType = msgspec.UNSET
    aux: Mapping[str, object] | msgspec.UnsetType = msgspec.UNSET
    error_detail: ErrorDetail | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET

    def encode(self) -> bytes:
        """Return the line."""
        return msgspec.json.encode(self) + b"\r\n"


Emit = Callable[[Message, str], None]
"""Takes a message, and the key of the bar that it replaces; no key, and it will surely be sent."""


def said(status: str, subject: str = "") -> Message:
    """Return a plain line, such as ``Digest: …``."""
    return Message(status=status, id=subject or msgspec.UNSET)


def step(status: str, subject: str) -> Message:
    """Return a step of a layer without a bar."""
    return Message(status=status, progress_detail=Detail(), id=subject)


def bar(status: str, subject: str, current: int, total: int) -> Message:
    """Return a bar; `total` is 0 where it is not known."""
    drawn = drawn_bar(current, total)
    return Message(
        status=status,
        progress_detail=Detail(current, total),
        progress=drawn or msgspec.UNSET,
        id=subject or msgspec.UNSET,
    )


def retrying(seconds: float, subject: str) -> Message:
    """Return the step of a layer that is tried again."""
    whole = max(1, math.ceil(seconds))
    return step(f"Retrying in {counted(whole, 'second')}", subject)


def waiting(cause: str, seconds: float) -> Message:
    """Return the line that says what everything waits for; Docker has none."""
    return said(f"waiting for the link: {cause}; next try in {math.ceil(seconds)} s")


def failed(message: str) -> Message:
    """Return the last line of a stream that failed."""
    return Message(error_detail=ErrorDetail(message), error=message)


def drawn_bar(current: int, total: int) -> str:
    """Return a bar as text, for clients that draw none themselves."""
    if current <= 0 and total <= 0:
        return ""
    if total <= 0:
        return f"{human_size(current):>8}"
    filled = min(BAR_WIDTH, current * 100 // total // 2)
    numbers = f"{human_size(current):>8}" + (f"/{human_size(total)}" if current <= total else "")
    return f"[{'=' * filled}>{' ' * (BAR_WIDTH - filled)}] {numbers}"


def human_size(size: int) -> str:
    """Return a size in decimal units with four significant digits, as Docker writes it."""
    value = float(size)
    for unit in _UNITS[:-1]:
        if value < 1000:
            return f"{value:.4g}{unit}"
        value /= 1000
    return f"{value:.4g}{_UNITS[-1]}"
