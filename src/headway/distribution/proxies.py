"""Chooses the proxy for a host by Docker's rules, which are those of Go's net/http.

Rule 1: plain HTTP and TLS have a proxy each; hosts in `no_proxy`, and loopback always, are reached without one.
Rule 2: a proxy's URL may hold a password; only its host and port are ever shown.
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
        """Return the proxy that a URL names, which may also be just ``host:port``.

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
            plain = whole.encode(errors="surrogateescape")  # the bytes as they are in the environment
            authorization = "Basic " + base64.b64encode(unquote_to_bytes(plain)).decode()
        return cls(bracketed or name.lower(), int(port) if port else DEFAULT_PORT, authorization)

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Proxy({self})"


class ProxyRules(msgspec.Struct, frozen=True):
    """Which hosts are reached through which proxy; empty texts mean none.

    Attributes:
        http: URL of the proxy for plain HTTP.
        https: URL of the proxy for TLS.
        no_proxy: Hosts without a proxy, separated by commas: names (including their subdomains), addresses, CIDR
            blocks, each with or without a port; ``*`` for all hosts.
    """

    http: str = ""
    https: str = ""
    no_proxy: str = ""

    def __repr__(self) -> str:
        return f"ProxyRules(no_proxy={self.no_proxy!r}, ...)"

    def proxy_for(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Return the proxy for an address; None if it is reached directly.

        Args:
            scheme: ``http`` or ``https``.
            host: Name or literal address, without brackets.
            port: TCP port.

        Raises:
            InvalidSettingError: The proxy's URL is not valid.
        """
        url = self.https if scheme == "https" else self.http
        if not url or self.is_direct(host, port):
            return None
        try:
            return Proxy.parse(url)
        except InvalidSettingError as error:
            raise InvalidSettingError(f"{scheme}_proxy: {error}", file=f"{scheme}_proxy or all_proxy") from None

    def is_direct(self, host: str, port: int) -> bool:
        """Tell whether a host is reached without a proxy."""
        name = host.lower()
        address = _address(name)
        if name == "localhost" or (address is not None and address.is_loopback):
            return True
        entries = [entry.strip().lower() for entry in self.no_proxy.split(",")]
        return any(_covers(entry, name, address, port) for entry in entries if entry)


def proxy_rules(environment: Mapping[str, str], *, http: str | None, https: str | None, none: str | None) -> ProxyRules:
    """Return the rules in force.

    Args:
        environment: The variables ``http_proxy``, ``https_proxy``, ``no_proxy``, and ``all_proxy`` in place of the
            first two. As in Docker, names in upper case win over those in lower case.
        http: From the settings; unless it is None, it wins over the environment, as do the next two.
        https: The same for TLS.
        none: The same for ``no_proxy``.
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
    """Return a proxy's URL without user name and password, so that it may be shown."""
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
    """Tell whether one entry of ``no_proxy`` matches a host."""
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
