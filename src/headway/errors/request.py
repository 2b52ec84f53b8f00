"""Errors of the caller: a request for something impossible, unknown or in conflict with what exists."""

from __future__ import annotations

from collections.abc import Iterable

from headway.errors.side import HeadwayError, Side


class RequestError(HeadwayError):
    """The caller asked for something impossible."""

    side = Side.YOU


class InvalidReferenceError(RequestError):
    """A name that Docker's reference grammar refuses (moby-behaviour 5.3)."""


class InvalidNameError(RequestError):
    """A name that a container cannot have (moby-behaviour 6.18)."""


class InvalidPlatformError(RequestError):
    """A platform that is not ``os/arch[/variant]``."""


class InvalidDigestError(RequestError):
    """A digest with an unknown algorithm or the wrong length."""


class InvalidPathError(RequestError):
    """A path inside a root file system that cannot be one."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"invalid path {path[:255]!r}: {reason}")


class NotADirectoryPathError(RequestError):
    """A path inside a root file system is not a directory, as it would have to be (moby-behaviour 6.20)."""

    def __init__(self, message: str = "extraction point is not a directory") -> None:
        super().__init__(message)


class ConflictingKindError(RequestError):
    """A directory would replace a file of another kind, or the reverse, which the caller has forbidden."""


class InvalidSettingError(RequestError):
    """A flag, an environment variable, or a file of settings, logins or certificates that cannot be used.

    Attributes:
        file: Path of the file, or name of the variable, that has to be corrected on this machine; empty for neither.
    """

    def __init__(self, message: str, *, file: str = "") -> None:
        super().__init__(message)
        self.file = file
        if self.file:
            self.side = Side.HERE


class InvalidFilterError(RequestError):
    """A filter that is unknown, or has a value that it cannot have; in Docker 28's words (moby-behaviour 6.1).

    Attributes:
        key: Name of the filter.
        values: Its values; empty where the name itself is the mistake.
    """

    def __init__(self, key: str, values: Iterable[str] = ()) -> None:
        self.key = key
        self.values = tuple(values)
        super().__init__(f"invalid filter '{key}" + (f"=[{' '.join(self.values)}]'" if self.values else "'"))


class InvalidTimeError(RequestError):
    """A text that is neither a Unix time, nor RFC 3339, nor a duration; or two times in the wrong order."""


class InvalidChangeError(RequestError):
    """A ``--change`` that is not an instruction which changes a config; in Docker's words (moby-behaviour 6.7)."""


class NotFoundError(RequestError):
    """What was asked for does not exist.

    Attributes:
        what: What kind of thing it is, in a word or two: ``image``, ``manifest``, ``container``, ``file``.
        name: The name that was asked for.
        detail: Details, such as the registry's own words; empty for none.
    """

    brief = "not found"

    def __init__(self, what: str, name: str, detail: str = "") -> None:
        super().__init__(f"no such {what}: {name}" + (f": {detail}" if detail else ""))
        self.what = what
        self.name = name
        self.detail = detail


class PlatformMismatchError(NotFoundError):
    """An image exists here, but for another platform than the one that is wanted (moby-behaviour 1.5, step 5).

    Attributes:
        image_id: The image, for callers that take it nevertheless.
        wanted: The platform that was asked for.
        actual: The platform of the image.
    """

    def __init__(self, name: str, image_id: str, wanted: str, actual: str) -> None:
        super().__init__("image", name)
        self.args = (
            f"image with reference {name} was found but does not match the specified platform:"
            f" wanted {wanted}, actual: {actual}",
        )
        self.image_id = image_id
        self.wanted = wanted
        self.actual = actual


class MountNotFoundError(NotFoundError):
    """A read-write layer that does not exist, in Moby's words (moby-behaviour 4.1)."""

    def __init__(self, name: str) -> None:
        super().__init__("mount", name)
        self.args = (f"mount does not exist: {name}",)


class NotMountedError(NotFoundError):
    """A path at which nothing is mounted, or a name of something that is not mounted."""

    def __init__(self, word: str) -> None:
        super().__init__("mount", word)
        self.args = (f"nothing is mounted at {word}" if "/" in word else f"{word} is not mounted",)


class AmbiguousNameError(RequestError):
    """The beginning of several containers' IDs; in Docker 28's words (moby-behaviour 6.19).

    Attributes:
        prefix: The beginning that was given.
    """

    def __init__(self, prefix: str) -> None:
        super().__init__(f"multiple IDs found with provided prefix: {prefix}")
        self.prefix = prefix


class ConflictError(RequestError):
    """Something exists already, is in use, or is being written by somebody else."""


class UnsupportedError(RequestError):
    """Headway understands the request, but does not do such things."""
