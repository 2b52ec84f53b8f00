"""Files of any web server, as `docker import URL` takes them: which one, and what tells that it is still the same.

Rule: no digest names such a file. Its URL, length and validator (RFC 9110 section 8.8) together do: what one attempt
left is gone on with only where all three are what they were.
"""

from __future__ import annotations

import re

import msgspec

from headway.distribution.endpoints import Endpoint, InsecureRegistries, has_valid_port
from headway.errors import RequestError
from headway.oci.digest import Digest

_URL = re.compile(r"(https?)://([A-Za-z0-9.:\[\]_-]+)(/[^#]*)?(?:#.*)?", re.S)


class WebFile(msgspec.Struct, frozen=True):
    """What a server says of a file before it sends it.

    Attributes:
        size: Its length in bytes; None where that is not said.
        validator: Its ETag, or else when it was last changed; empty where neither is said.
    """

    size: int | None
    validator: str

    @property
    def can_resume(self) -> bool:
        """Whether an attempt can go on where another one ended."""
        return bool(self.size) and bool(self.validator)

    def identity(self, url: str) -> Digest:
        """Return what to keep its bytes under; it says nothing of them."""
        return Digest.of(f"{url}\n{self.size}\n{self.validator}".encode())


def with_scheme(text: str) -> str:
    """Return a URL as Docker reads it: without a scheme it is HTTP."""
    return text if "://" in text else f"http://{text}"


def web_endpoint(url: str, insecure: InsecureRegistries) -> Endpoint:
    """Return where a URL's file is.

    Raises:
        RequestError: It is no URL of HTTP, or holds a login.
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
