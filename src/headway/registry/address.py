"""Addresses to connect to, parsed from what users and servers write."""

from __future__ import annotations

import urllib.parse

import msgspec

from headway.distribution.endpoints import is_port, split_port
from headway.errors import MisbehavedError

_SAFE = "/%:@!$&'()*+,;=~?"


class Address(msgspec.Struct, frozen=True):
    """Where to connect.

    Attributes:
        scheme: ``http`` or ``https``.
        host: Name or literal address, without brackets.
        port: TCP port.
        verify: Whether the certificate must be trusted.
        registry: Host of the registry that is asked or has led here; its certificates count here too.
    """

    scheme: str
    host: str
    port: int
    verify: bool = True
    registry: str = ""

    @classmethod
    def parse(cls, scheme: str, authority: str, *, verify: bool = True, registry: str = "") -> Address:
        """Return the address of ``host[:port]``.

        Raises:
            MisbehavedError: The port is not one.
        """
        host, port = split_port(authority)
        if port and not is_port(port):
            raise MisbehavedError(authority, "not a host and port")
        return cls(scheme, host, int(port) if port else (443 if scheme == "https" else 80), verify, registry)

    @property
    def owner(self) -> str:
        """The registry that this belongs to, or the host itself."""
        return self.registry or str(self)

    @property
    def led_by(self) -> str:
        """The registry that has led here, from another host; empty where this is its own."""
        is_own = not self.registry or Address.parse(self.scheme, self.registry).host == self.host
        return "" if is_own else self.registry

    @property
    def authority(self) -> str:
        """``host:port``, with the port in any case."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"


def split_url(url: str, asked: str = "") -> urllib.parse.SplitResult | None:
    """Return the parts of a URL that a server sent, None where it is not one for HTTP.

    Args:
        url: As sent.
        asked: URL that was asked for, which a relative one begins at.
    """
    try:
        parts = urllib.parse.urlsplit(urllib.parse.urljoin(asked, url))
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.netloc else None


def target_of(url: urllib.parse.SplitResult) -> str:
    """Return path and query as a request line has them, quoted where the server did not quote them.

    http.client would refuse a space, and show the signature that a URL may hold in its message. What http.client gives
    as text is bytes (ISO 8859-1), whatever a server means by them; they go back as they came.
    """
    return quoted(url.path or "/", "latin-1") + (f"?{quoted(url.query, 'latin-1')}" if url.query else "")


def quoted(target: str, encoding: str = "utf-8") -> str:
    """Return a path or a query with everything quoted that may not stand in a request line as it is."""
    return urllib.parse.quote(target, safe=_SAFE, encoding=encoding)


def with_query(target: str, query: str) -> str:
    """Return `target` with more of a query behind what it has of one."""
    return f"{target}{'&' if '?' in target else '?'}{query}" if query else target
