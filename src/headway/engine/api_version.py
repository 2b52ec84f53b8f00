"""Versions of the Engine API, and which one a request is answered in (moby-behaviour 6.1 and 10).

Rule: shapes and routes compare versions as `ApiVersion`; no other module parses one.
"""

from __future__ import annotations

from typing import NamedTuple, Self

from headway.errors import RequestError


class ApiVersion(NamedTuple):
    """A version such as ``1.41``. Its parts are compared as numbers, so that 1.9 is older than 1.24."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the version of a path's prefix, without its ``v``.

        Raises:
            ApiVersionError: It is not ``number.number``.
        """
        major, _, minor = text.partition(".")
        # Length is bounded: Python refuses to convert numbers of thousands of digits with an error of its own.
        if len(text) > 16 or not (major.isdecimal() and minor.isdecimal() and text.isascii()):
            raise ApiVersionError(f"invalid API version {text[:16]}: it is written as 1.41")
        return cls(int(major), int(minor))


OLDEST = ApiVersion(1, 24)
NEWEST = ApiVersion(1, 51)
_TAKEN = ApiVersion(1, 22)
"""The oldest version that is accepted, and answered as `OLDEST`: skopeo, buildah and podman of Debian 12 use it for
``docker-daemon:``."""


class ApiVersionError(RequestError):
    """A version that cannot be parsed, or that this server does not support."""


def negotiated(text: str | None) -> ApiVersion:
    """Return the version in which to answer a request with this version in its path; None means the newest.

    Raises:
        ApiVersionError: This server does not support it; the message is Moby's.
    """
    if text is None:
        return NEWEST
    version = ApiVersion.parse(text)
    if version > NEWEST:
        raise ApiVersionError(f"client version {version} is too new. Maximum supported API version is {NEWEST}")
    if version < _TAKEN:
        raise ApiVersionError(
            f"client version {version} is too old. Minimum supported API version is {OLDEST},"
            " please upgrade your client to a newer version"
        )
    return max(version, OLDEST)
