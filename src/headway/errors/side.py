"""Whose side a failure is on, and what every error of Headway's has."""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """Whose side a failure is on, as far as it is proved."""

    HERE = "on this machine"
    WAY = "on the way there"
    REGISTRY = "at the registry"
    YOU = "in the request"


class HeadwayError(Exception):
    """Base of everything Headway raises on purpose.

    Attributes:
        side: Whose side it is on, or None where that is not proved.
        retryable: Whether the same request may succeed later without anybody changing anything.
        brief: What went wrong in two or three words, for counts.
    """

    side: Side | None = None
    retryable: bool = False
    brief: str = "failed"


class OutOfOrderError(RuntimeError):
    """A state machine was misused: our bug, never caught."""
