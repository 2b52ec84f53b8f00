"""The caller asked for something impossible."""

from __future__ import annotations

from collections.abc import Iterable

from headway.errors.side import HeadwayError, Side


class RequestError(HeadwayError):
    """The caller asked for something impossible."""

    side = Side.YOU


class InvalidReferenceError(RequestError):
    """A name that Docker's reference grammar refuses (moby-behaviour 5.3)."""


class InvalidNameError(RequestError):
    """A name that containers do not have (moby-behaviour 6.18)."""


class InvalidPlatformError(RequestError):
    """A platform that is not ``os/arch[/variant]``."""


class InvalidDigestError(RequestError):
    """A digest with an unknown algorithm or the wrong length."""


class InvalidPathError(RequestError):
    """A path inside a root file system that cannot be one."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"invalid path {path[:255]!r}: {reason}")


class NotADirectoryPathError(RequestError):
    """A path inside a root file system that would have to be a directory; in Moby's words (moby-behaviour 6.20)."""

    def __init__(self, message: str = "extraction point is not a directory") -> None:
        super().__init__(message)


class ConflictingKindError(RequestError):
    """A directory would replace something that is none, or the reverse, where that was not wanted."""


class InvalidSettingError(RequestError):
    """A flag, an environment variable, or a file of settings, logins or certificates that cannot be used.

    Attributes:
        file: What has to be mended on this machine, a file or a variable; empty where it is none.
    """

    def __init__(self, message: str, *, file: object = "") -> None:
        super().__init__(message)
        self.file = str(file)
        if self.file:
            self.side = Side.HERE


class InvalidFilterError(RequestError):
    """A filter that is unknown, or has a value that it cannot have; in Docker 28's words (moby-behaviour 6.1).

    Attributes:
        key: Its name.
        values: What was given for it; empty where its name is the mistake.
    """

    def __init__(self, key: str, values: Iterable[str] = ()) -> None:
        self.key = key
        self.values = tuple(values)
        super().__init__(f"invalid filter '{key}" + (f"=[{' '.join(self.values)}]'" if self.values else "'"))


class InvalidTimeError(RequestError):
    """A time that is no Unix time, no RFC 3339 and no duration, or two of them in the wrong order."""


class InvalidChangeError(RequestError):
    """A ``--change`` that is no instruction, or none that changes a config; in Docker's words (moby-behaviour 6.7)."""


class NotFoundError(RequestError):
    """What was asked for does not exist.

    Attributes:
        what: Its kind, in a word or two: ``image``, ``manifest``, ``container``, ``file``.
        name: The name it was asked by.
        detail: What else there is to say, such as the registry's own words; empty for nothing.
    """

    brief = "not found"

    def __init__(self, what: str, name: str, detail: str = "") -> None:
        super().__init__(f"no such {what}: {name}" + (f": {detail}" if detail else ""))
        self.what = what
        self.name = name
        self.detail = detail


class PlatformMismatchError(NotFoundError):
    """An image that is here, for another platform than the one that is wanted (moby-behaviour 1.5, step 5).

    Attributes:
        image_id: The image all the same: some callers take it.
        wanted: The platform asked for.
        actual: The image's own.
    """

    def __init__(self, name: str, image_id: str, wanted: object, actual: object) -> None:
        super().__init__("image", name)
        self.args = (
            f"image with reference {name} was found but does not match the specified platform:"
            f" wanted {wanted}, actual: {actual}",
        )
        self.image_id = image_id
        self.wanted = str(wanted)
        self.actual = str(actual)


class MountNotFoundError(NotFoundError):
    """A read-write layer that does not exist, in Moby's words (moby-behaviour 4.1)."""

    def __init__(self, name: str) -> None:
        super().__init__("mount", name)
        self.args = (f"mount does not exist: {name}",)


class NotMountedError(NotFoundError):
    """A place where nothing is mounted, or a name of nothing that is."""

    def __init__(self, word: str) -> None:
        super().__init__("mount", word)
        self.args = (f"nothing is mounted at {word}" if "/" in word else f"{word} is not mounted",)


class AmbiguousNameError(RequestError):
    """The beginning of several containers' IDs; in Docker 28's words (moby-behaviour 6.19).

    Attributes:
        prefix: What was given.
    """

    def __init__(self, prefix: str) -> None:
        super().__init__(f"multiple IDs found with provided prefix: {prefix}")
        self.prefix = prefix


class ConflictError(RequestError):
    """Something exists already, is in use, or is being written by somebody else."""


class UnsupportedError(RequestError):
    """Headway understands what is wanted and does not do it."""
