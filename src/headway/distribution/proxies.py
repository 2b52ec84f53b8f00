"""Through which proxy a host is reached: Docker's rules, which are those of Go's net/http.

Rule 1: plain HTTP and TLS have a proxy each; `no_proxy` names who is reached without one, and loopback always is.
Rule 2: a proxy's URL may hold a password; nothing here shows more of it than host and port.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

import msgspec

from headway.distribution.endpoints import MAX_PORT, split_port
from headway.errors import InvalidSettingError

DEFAULT_PORT = 80
_URL = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.-]*)://)?(?:([^/]*)@)?(?:\[([0-9A-Fa-f:.]+)\]|([^\s/:@\[\]\ud800-\udfff]+))(?::(\d{1,5}))?/?\Z"
)


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy.

    Attributes:
        host: Name or literal address, without brackets.
        port: TCP port.
        authorization: Value of the ``Proxy-Authorization`` header; empty where its URL holds no login.
    """

    host: str
    port: int
    authorization: str = ""

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """Return the proxy that a URL names; a bare ``host:port`` is one, too.

        Raises:
            InvalidSettingError: It is not the URL of an HTTP proxy.
        """
        match = _URL.match(url)
        if match is None:
            raise InvalidSettingError("a proxy's URL must be http://[user:password@]host[:port]")
        scheme, login, bracketed, name, port = match.groups()
        if scheme not in (None, "http"):
            raise InvalidSettingError(f"{scheme} proxies are not supported: use an http:// proxy")
        if port and not 0 < int(port) <= MAX_PORT:
            raise InvalidSettingError("a proxy's URL must be http://[user:password@]host[:port]")
        authorization = ""
        if login is not None:
            whole = login if ":" in login else f"{login}:"
            plain = whole.encode(errors="surrogateescape")  # the environment's bytes, whatever they are
            authorization = "Basic " + base64.b64encode(unquote_to_bytes(plain)).decode()
        return cls(bracketed or name.lower(), int(port) if port else DEFAULT_PORT, authorization)

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Proxy({self})"


class ProxyRules(msgspec.Struct, frozen=True):
    """Who is reached through which proxy; empty texts mean none.

    Attributes:
        http: URL of the proxy for plain HTTP.
        https: URL of the proxy for TLS.
        no_proxy: Separated by commas: names (with all below them), addresses, CIDR blocks, each with or without a
            port; ``*`` for everybody.
    """

    http: str = ""
    https: str = ""
    no_proxy: str = ""

    def __repr__(self) -> str:
        return f"ProxyRules(no_proxy={self.no_proxy!r}, ...)"

    def proxy_for(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Return the proxy for an address, None where it is reached directly.

        Args:
            scheme: ``http`` or ``https``.
            host: Name or literal address, without brackets.
            port: TCP port.

        Raises:
            InvalidSettingError: The proxy cannot be used.
        """
        url = self.https if scheme == "https" else self.http
        if not url or self.is_direct(host, port):
            return None
        try:
            return Proxy.parse(url)
        except InvalidSettingError as error:
            raise InvalidSettingError(f"{scheme}_proxy: {error}", file=f"{scheme}_proxy or all_proxy") from None

    def is_direct(self, host: str, port: int) -> bool:
        """Tell whether a host is reached without a proxy whatever the proxy is."""
        name = host.lower()
        address = _address(name)
        if name == "localhost" or (address is not None and address.is_loopback):
            return True
        entries = [entry.strip().lower() for entry in self.no_proxy.split(",")]
        return any(_covers(entry, name, address, port) for entry in entries if entry)


def proxy_rules(environment: Mapping[str, str], *, http: str | None, https: str | None, none: str | None) -> ProxyRules:
    """Return the rules in force.

    Args:
        environment: As in Docker, names in capitals win over small ones; ``all_proxy`` is for what has none of its own.
        http: From the settings; stands in for ``http_proxy``, as do the next two for theirs, where it is not None.
        https: For ``https_proxy``.
        none: For ``no_proxy``.
    """

    def named(name: str) -> str:
        return environment.get(name.upper()) or environment.get(name) or ""

    rest = named("all_proxy")
    return ProxyRules(
        http=http if http is not None else named("http_proxy") or rest,
        https=https if https is not None else named("https_proxy") or rest,
        no_proxy=none if none is not None else named("no_proxy"),
    )


def without_login(url: str) -> str:
    """Return a proxy's URL as it may be shown: without the name and the password in it."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else url.rpartition("@")[2]


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _address(host: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _covers(entry: str, name: str, address: _Address | None, port: int) -> bool:
    """Tell whether one entry of ``no_proxy`` speaks of a host."""
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    host, wanted_port = split_port(entry)
    if not host or (wanted_port and wanted_port != str(port)):
        return False
    if (own := _address(host)) is not None:
        return own == address
    domain = host[1:] if host.startswith("*.") else host
    return name.endswith(domain) if domain.startswith(".") else name == domain or name.endswith(f".{domain}")
