"""What a proxy says: to who asks it for a tunnel, and in the place of the registry that it leads to.

Rule: whatever it says for itself is told as the proxy's, and never as the registry's.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from headway.distribution.challenge import parse_challenges
from headway.distribution.proxies import Proxy
from headway.errors import Fault, MisbehavedError, ProxyRefusedError, Side, UnreachableError
from headway.registry.address import Address
from headway.registry.response import Response, SlowHeadError
from headway.registry.translation import translated

_PROXIES = ("squid", "tinyproxy")  # what is relayed has the registry's own Server


def open_tunnel(raw: socket.socket, proxy: Proxy, address: Address) -> None:
    """Let a proxy connect us with a registry (RFC 9110, section 9.3.6).

    Args:
        raw: Connected to the proxy; its time-out says how long each wait may be.
        proxy: It.
        address: Where it is to lead.

    Raises:
        ProxyRefusedError: It wants a login, or does not let us through.
        UnreachableError: It cannot reach the registry, or does not answer.
        MisbehavedError: What answers does not speak HTTP.
    """
    lines = [f"CONNECT {address.authority} HTTP/1.1", f"Host: {address.authority}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    with _on_the_way(), translated(f"the proxy {proxy}"):
        raw.sendall("\r\n".join([*lines, "", ""]).encode())
        response = Response(raw, method="CONNECT")
        try:
            response.begin()
        except SlowHeadError:
            raise
        except TimeoutError:  # it is silent for as long as it tries to reach what it is to lead to
            raise UnreachableError(str(address), Fault.TIMEOUT, f"from the proxy {proxy}") from None
        finally:
            response.close()
    _require_leave(proxy, address, response)
    if not 200 <= response.status < 300:
        raise _not_through(proxy, address, response.status)


def require_through(proxy: Proxy, address: Address, response: Response) -> None:
    """Raise where it is the proxy that answers a request that was meant for a registry: squid and tinyproxy say so.

    Raises:
        ProxyRefusedError: It wants a login.
        UnreachableError: It cannot reach the registry.
    """
    if response.status == 407:
        _require_leave(proxy, address, response)
    is_its_own = response.headers.get("Server", "").lower().startswith(_PROXIES)
    if address.scheme == "http" and response.status >= 500 and is_its_own:
        raise _not_through(proxy, address, response.status)


def _not_through(proxy: Proxy, address: Address, status: int) -> UnreachableError:
    return UnreachableError(str(address), Fault.PROXY, f"the proxy {proxy} answers HTTP {status}")


def _require_leave(proxy: Proxy, address: Address, response: Response) -> None:
    """Raise `ProxyRefusedError` where it is the proxy that refuses: for its own login, or a tunnel."""
    if response.status not in (401, 403, 407):
        return
    offered = [each.scheme for each in parse_challenges(response.headers.get_all("Proxy-Authenticate") or [])]
    unknown = "" if "basic" in offered else ", ".join(offered)
    had_login = bool(proxy.authorization)
    raise ProxyRefusedError(str(proxy), response.status, str(address), had_login=had_login, unknown=unknown)


@contextmanager
def _on_the_way() -> Iterator[None]:
    """Say of an answer that makes no sense that no registry gave it."""
    try:
        yield
    except MisbehavedError as error:
        error.side = Side.WAY
        raise
