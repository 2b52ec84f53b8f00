"""The base of all errors, and the sides on which a failure can lie."""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """The side on which a failure lies, if that is proved."""

    HERE = "on this machine"
    WAY = "on the way there"
    REGISTRY = "at the registry"
    YOU = "in the request"


class HeadwayError(Exception):
    """Base of everything Headway raises on purpose.

    Attributes:
        side: The side on which it lies; None where that is not proved.
        retryable: Whether the same request may succeed later without anybody changing anything.
        brief: What went wrong, in two or three words, for counting by cause.
    """

    side: Side | None = None
    retryable: bool = False
    brief: str = "failed"


class OutOfOrderError(RuntimeError):
    """A state machine was misused: our bug, never caught."""
