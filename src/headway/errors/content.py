"""Bytes that are not what their descriptor, or their kind, promised."""

from __future__ import annotations

from headway.errors.side import HeadwayError


class IntegrityError(HeadwayError):
    """Bytes are not what the descriptor promised.

    Attributes:
        endpoint: Where they came from, or an empty string where that is not known.
    """

    brief = "wrong content"

    def __init__(self, message: str, endpoint: str = "") -> None:
        super().__init__(message + (f" (from {endpoint})" if endpoint else ""))
        self.endpoint = endpoint


class DigestMismatchError(IntegrityError):
    """Content has another digest than its name says; `actual` is None where nobody says which."""

    def __init__(self, what: str, expected: object, actual: object | None, endpoint: str = "") -> None:
        has = "another digest than" if actual is None else f"digest {actual} instead of"
        super().__init__(f"{what} has {has} {expected}", endpoint)
        self.expected = expected
        self.actual = actual


class ChangedMeanwhileError(IntegrityError):
    """A web server has another version of a file by now than the one whose bytes are here."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(
            "the file has changed since its first byte was fetched; the next attempt starts anew", endpoint
        )


class InvalidDocumentError(IntegrityError):
    """A manifest, index or config that is not what its media type says, or is too large."""


class InvalidLayerError(IntegrityError):
    """A layer that cannot be unpacked: broken compression, broken tar, or hostile content."""


class WindowTooLargeError(InvalidLayerError):
    """A layer that looks back further than this machine lets layers do.

    Attributes:
        window: What it needs, in bytes.
        allowed: What it may have, in bytes.
    """

    brief = "window too large"

    def __init__(self, window: int, allowed: int) -> None:
        super().__init__(
            f"this layer needs a window of {-(-window >> 20)} MiB to unpack; "
            f"max-unpack-memory allows {allowed >> 20} MiB here"
        )
        self.window = window
        self.allowed = allowed


class InvalidArchiveError(IntegrityError):
    """An archive of images that cannot be loaded: broken, cut short, hostile, or no such archive."""

    brief = "bad archive"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the archive cannot be loaded: {reason}")


class NoImagesError(InvalidArchiveError):
    """A tar that is no archive of images; most often it is of a root file system, as ``docker export`` writes one."""
