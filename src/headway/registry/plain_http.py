"""Decides between HTTPS and plain HTTP for registries that allow both, from answers and from failures of TLS.

Rule 1: TLS comes first. Plain HTTP is tried if TLS failed in the way it does with a server that has none.
Rule 2: a server on another port than that of TLS is the registry only if it answers like one: often it is a web server,
        which redirects to TLS or answers 404.
"""

from __future__ import annotations

from headway.distribution.endpoints import Endpoint
from headway.errors import Fault, MisbehavedError, UnreachableError
from headway.registry.address import Address
from headway.registry.answers import media_type_of
from headway.registry.exchange import Exchange

# A firewall may let through one port only: firewalld says "no route" of the others.
_NOT_TLS = {Fault.TLS, Fault.CUT, Fault.REFUSED, Fault.NO_ROUTE, Fault.FORBIDDEN, Fault.PROXY}
_REGISTRYS = {200, 201, 202, 204, 206, 401}
_JSON, _HTML = "application/json", "text/html"


def has_two_ports(endpoint: Endpoint) -> bool:
    """Tell whether HTTP is on another port than HTTPS: a firewall may let one through, and drop the other."""
    https, http = (Address.parse(scheme, endpoint.host, verify=False).port for scheme in ("https", "http"))
    return https != http


def may_be_plain(endpoint: Endpoint, error: UnreachableError | MisbehavedError, *, is_connected: bool) -> bool:
    """Tell whether a request by TLS failed in the way it does with a server that speaks plain HTTP.

    Args:
        endpoint: The server, which may be asked without TLS.
        error: How it failed.
        is_connected: Whether there was a connection.
    """
    if isinstance(error, MisbehavedError):
        return True
    is_dropped = error.fault is Fault.TIMEOUT and has_two_ports(endpoint) and not is_connected
    return error.fault in _NOT_TLS or is_dropped


def has_become_plain(endpoint: Endpoint, error: UnreachableError) -> bool:
    """Tell, from a failed request, whether a registry no longer speaks TLS; one port is one server."""
    return not endpoint.secure and error.fault is Fault.TLS and not has_two_ports(endpoint)


class Schemes:
    """Remembers which scheme hosts answer to, of those that may be asked by plain HTTP.

    A caller that allows plain HTTP allows it for its own requests only: that a host spoke HTTP then is no reason to use
    it for another caller, nor once the settings no longer allow it.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, endpoint: Endpoint) -> list[str]:
        """Return the schemes to try, in order: HTTPS first, then HTTP only for insecure registries."""
        if _says_how(endpoint):
            return [endpoint.scheme]
        if endpoint.secure:
            return ["https"]
        known = self._known.get(endpoint.host)
        return [known] if known else ["https", "http"]

    def worked(self, endpoint: Endpoint, scheme: str) -> None:
        """Remember which scheme a host answers to."""
        if not _says_how(endpoint):
            self._known[endpoint.host] = scheme

    def changed(self, endpoint: Endpoint) -> bool:
        """Forget which scheme a host answers to; tell whether another one may be tried."""
        return not _says_how(endpoint) and self._known.pop(endpoint.host, None) is not None


def _says_how(endpoint: Endpoint) -> bool:
    """Tell whether a URL fixes its scheme, whatever a registry on the same host speaks."""
    return bool(endpoint.blob_path) or endpoint.mirror or endpoint.scheme == "http"


def is_of_registry(exchange: Exchange) -> bool:
    """Tell whether an answer is a registry's, and not that of another server on the port."""
    return exchange.status in _REGISTRYS or media_type_of(exchange) == _JSON


def wants_tls(exchange: Exchange) -> bool:
    """Tell whether an answer means that the server expects TLS: Go sends it without any header."""
    return exchange.status == 400 and (not exchange.headers or media_type_of(exchange) == _HTML)


def is_of_web_server(exchange: Exchange) -> bool:
    """Tell whether an answer is a web server's 404, which says nothing about the image."""
    return exchange.status == 404 and media_type_of(exchange) == _HTML


def is_proxys_own(over_tls: UnreachableError, exchange: Exchange) -> bool:
    """Tell whether an answer is the proxy's own: it gave the same one to a request for a tunnel."""
    return over_tls.fault is Fault.PROXY and exchange.status >= 500 and over_tls.detail.endswith(f" {exchange.status}")
