"""Errors about content: bytes that are not what their descriptor, or their format, promised."""

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
    """Content has another digest than its name says.

    Attributes:
        expected: The digest that names it.
        actual: The digest it has; None where that is not known.
    """

    def __init__(self, what: str, expected: str, actual: str | None, endpoint: str = "") -> None:
        has = "another digest than" if actual is None else f"digest {actual} instead of"
        super().__init__(f"{what} has {has} {expected}", endpoint)
        self.expected = expected
        self.actual = actual


class ChangedMeanwhileError(IntegrityError):
    """A web server now has another version of a file than the one that was partly fetched."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(
            "the file has changed since its first byte was fetched; the next attempt starts anew", endpoint
        )


class InvalidDocumentError(IntegrityError):
    """A manifest, index or config that is not what its media type says, or is too large."""


class InvalidLayerError(IntegrityError):
    """A layer that cannot be unpacked: broken compression, broken tar, or hostile content."""


class WindowTooLargeError(InvalidLayerError):
    """A layer whose decompression window is larger than this machine allows.

    Attributes:
        window: Size of the window, in bytes.
        allowed: Largest size that is allowed, in bytes.
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
