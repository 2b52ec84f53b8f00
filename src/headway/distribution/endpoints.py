"""Endpoints: which hosts to ask for an image, in which order, and how (moby-behaviour 3.1).

Rule 1: mirrors come before the registry that they stand in for. Docker has them for docker.io only.
Rule 2: an insecure registry is asked by HTTPS first, and by HTTP only if that cannot work; loopback is always insecure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

import msgspec

from headway.distribution.credentials import Credentials
from headway.errors import InvalidReferenceError, InvalidSettingError
from headway.oci.reference import DOCKER_HUB

DOCKER_HUB_HOST = "registry-1.docker.io"
DOCKER_HUB_NAMES = ("index.docker.io", DOCKER_HUB, DOCKER_HUB_HOST)
"""Names of Docker Hub in files of logins."""
MAX_PORT = 65535
MAX_URLS = 8


class Endpoint(msgspec.Struct, frozen=True):
    """One base URL to try.

    Attributes:
        host: ``host[:port]`` as it stands in the URL.
        secure: Whether TLS is demanded and its certificate verified; otherwise plain HTTP is tried too.
        scheme: ``http`` where the user said so (mirrors); otherwise ``https``.
        mirror: Whether it stands in for another registry.
        prefix: Path in front of ``/v2/``, without a trailing slash.
        blob_path: Path and query of the single file that this endpoint serves, without credentials; empty for a
            registry.
        validator: ETag or ``Last-Modified`` that this file must still have; empty where its digest is known.
        login: Credentials that came with the request; None for those of this machine.
    """

    host: str
    secure: bool = True
    scheme: str = "https"
    mirror: bool = False
    prefix: str = ""
    blob_path: str = ""
    validator: str = ""
    login: Credentials | None = None

    def __str__(self) -> str:
        return self.host


class InsecureRegistries:
    """The hosts that may be asked without verified TLS; a container of ``host[:port]``.

    Args:
        entries: ``host[:port]``, IP addresses or CIDR blocks, as `--insecure-registry` takes them.

    Raises:
        InvalidSettingError: An entry has a scheme, or is not a valid CIDR block.
    """

    def __init__(self, entries: Sequence[str] = ()) -> None:
        self._entries = tuple(entries)
        self._hosts: set[str] = {"localhost"}
        self._networks = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")]
        for entry in entries:
            self._add(entry)

    def including(self, entries: Sequence[str]) -> InsecureRegistries:
        """Return these hosts and those of more `entries`.

        Raises:
            InvalidSettingError: As for the class.
        """
        return InsecureRegistries((*self._entries, *entries)) if entries else self

    def _add(self, entry: str) -> None:
        if "://" in entry or not entry:
            raise InvalidSettingError(
                f"insecure registry {entry!r} must be host[:port] or a CIDR block, without a scheme"
            )
        if "/" not in entry:
            self._hosts.add((split_port(entry)[0] if entry.endswith("]") else entry).lower())
            return
        try:
            self._networks.append(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            raise InvalidSettingError(f"insecure registry {entry!r} is not a CIDR block") from None

    def __contains__(self, host: str) -> bool:
        """Tell whether ``host[:port]`` is insecure. CIDR blocks match literal addresses; names are not looked up."""
        name, _ = split_port(host)
        if host.lower() in self._hosts or name.lower() in self._hosts:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return any(address in network for network in self._networks if network.version == address.version)


def has_valid_port(host: str) -> bool:
    """Tell whether the port of ``host[:port]`` is in range: the grammar of references allows any digits."""
    _, colon, port = host.rpartition("]")[2].rpartition(":")
    return not colon or is_port(port)


def is_port(text: str) -> bool:
    """Tell whether a text is a port number from 0 to `MAX_PORT`."""
    return text.isdecimal() and len(text) <= 5 and int(text) <= MAX_PORT


def split_port(text: str) -> tuple[str, str]:
    """Return host and port of ``host[:port]``: the host without brackets, the port empty where there is none.

    A literal IPv6 address without brackets has no port.
    """
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = text.partition(":")
    return (text, "") if ":" in port else (host, port)


def registry_host(server: str | None) -> str:
    """Return the host of the registry to log in to, as docker reads its argument (moby-behaviour 3.8, "Login").

    Args:
        server: A host or a URL; None or an empty text for Docker Hub.

    Raises:
        InvalidSettingError: It does not name a host.
    """
    if not server:
        return DOCKER_HUB
    host = server.removeprefix("https://").removeprefix("http://").partition("/")[0]
    if not host or any(character in host for character in "@?# ") or not has_valid_port(host):
        raise InvalidSettingError("write the registry as host[:port]")
    return DOCKER_HUB if host in DOCKER_HUB_NAMES else host


def mirror_endpoint(url: str, insecure: InsecureRegistries) -> Endpoint:
    """Return the endpoint for a mirror's URL.

    Raises:
        InvalidSettingError: It has another scheme than http or https, no host, a login, a query or a fragment.
    """
    scheme, separator, rest = url.partition("://")
    if "@" in rest:
        raise InvalidSettingError("invalid mirror: a login does not belong in its URL; log in to its host")
    if not separator or scheme not in ("http", "https") or not rest or any(c in rest for c in "?# "):
        raise InvalidSettingError(f"invalid mirror {url!r}: it must be http://host[:port][/path] or https://...")
    host, _, path = rest.partition("/")
    if not host or not has_valid_port(host):
        raise InvalidSettingError(f"invalid mirror {url!r}: it names no host{' and port' if host else ''}")
    return Endpoint(
        host=host,
        secure=scheme == "https" and host not in insecure,
        scheme=scheme,
        mirror=True,
        prefix=f"/{path}".rstrip("/"),
    )


def own_endpoint(domain: str, insecure: InsecureRegistries, login: Credentials | None = None) -> Endpoint:
    """Return the endpoint of a registry itself, in contrast to its mirrors.

    Raises:
        InvalidReferenceError: Its port is out of range.
    """
    if not has_valid_port(domain):
        raise InvalidReferenceError(f"{domain}: invalid port")
    if domain == DOCKER_HUB:
        return Endpoint(DOCKER_HUB_HOST, login=login)
    return Endpoint(domain, secure=domain not in insecure, login=login)


def endpoints_for(
    domain: str, mirrors: Sequence[str], insecure: InsecureRegistries, login: Credentials | None = None
) -> list[Endpoint]:
    """Return the endpoints for repositories of `domain`, first choice first; `login` is not sent to mirrors.

    Raises:
        InvalidReferenceError: See `own_endpoint`.
        InvalidSettingError: See `mirror_endpoint`.
    """
    own = own_endpoint(domain, insecure, login)
    return [*(mirror_endpoint(url, insecure) for url in mirrors), own]


def foreign_endpoints(urls: Sequence[str], insecure: InsecureRegistries) -> list[Endpoint]:
    """Return the endpoints of a non-distributable layer's URLs, at most `MAX_URLS`; unusual URLs are left out."""
    endpoints = []
    for url in urls[:MAX_URLS]:
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        if scheme not in ("http", "https") or not slash or not re.fullmatch(r"[A-Za-z0-9.:\[\]_-]+", host):
            continue
        secure = scheme == "https" and host not in insecure
        endpoints.append(Endpoint(host, secure=secure, scheme=scheme, blob_path=f"/{path}".partition("#")[0]))
    return endpoints
