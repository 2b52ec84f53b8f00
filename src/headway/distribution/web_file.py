"""Identifies files of web servers, as `docker import URL` fetches them, so that a download can be resumed.

Rule: such a file has no digest; its URL, length and validator (RFC 9110 section 8.8) together identify it. An attempt
resumes an earlier one only if all three are the same.
"""

from __future__ import annotations

import re

import msgspec

from headway.distribution.endpoints import Endpoint, InsecureRegistries, has_valid_port
from headway.errors import RequestError
from headway.oci.digest import Digest

_URL = re.compile(r"(https?)://([A-Za-z0-9.:\[\]_-]+)(/[^#]*)?(?:#.*)?", re.S)


class WebFile(msgspec.Struct, frozen=True):
    """The headers of a file.

    Attributes:
        size: Its length in bytes; None where the server does not say.
        validator: Its ETag, or else its ``Last-Modified``; empty where the server sends neither.
    """

    size: int | None
    validator: str

    @property
    def can_resume(self) -> bool:
        """Whether an attempt can continue an earlier one."""
        return bool(self.size) and bool(self.validator)

    def identity(self, url: str) -> Digest:
        """Return the key under which its bytes are kept; it is not their digest."""
        return Digest.of(f"{url}\n{self.size}\n{self.validator}".encode())


def with_scheme(text: str) -> str:
    """Return a URL with a scheme: as in Docker, ``http`` if it has none."""
    return text if "://" in text else f"http://{text}"


def web_endpoint(url: str, insecure: InsecureRegistries) -> Endpoint:
    """Return the endpoint of a URL's file.

    Raises:
        RequestError: It is not an HTTP URL, or holds a login.
    """
    scheme = url.partition("://")[0]
    if scheme not in ("http", "https"):
        raise RequestError(f'Get "{url}": unsupported protocol scheme "{scheme}"')
    found = _URL.fullmatch(url)
    if found is not None and not has_valid_port(found[2]):
        raise RequestError(f'Get "{url}": invalid port')
    if found is None:
        what = "a login in it would be kept in logs and histories" if "@" in url else "it names no host"
        raise RequestError(f'Get "{url.rpartition("@")[2]}": {what}')
    host = found[2]
    return Endpoint(host, secure=scheme == "https" and host not in insecure, scheme=scheme, blob_path=found[3] or "/")
