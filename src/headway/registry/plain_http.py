"""Registries that may be asked by plain HTTP: what an answer, or a failure of TLS, says of which scheme they speak.

Rule 1: TLS comes first. Plain HTTP is tried where TLS failed as it does at a server that speaks none.
Rule 2: what answers at another port than TLS would is the registry only if it answers as one does: often it is a web
        server, which leads back to TLS or knows of nothing.
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
    """Tell whether HTTP is at another port than HTTPS: a firewall may let through the one, and drop the other."""
    https, http = (Address.parse(scheme, endpoint.host, verify=False).port for scheme in ("https", "http"))
    return https != http


def may_be_plain(endpoint: Endpoint, error: UnreachableError | MisbehavedError, *, is_connected: bool) -> bool:
    """Tell whether a request by TLS failed as it does at a server that speaks plain HTTP.

    Args:
        endpoint: Who was asked, and may be asked without TLS.
        error: How it failed.
        is_connected: Whether there was a connection.
    """
    if isinstance(error, MisbehavedError):
        return True
    is_dropped = error.fault is Fault.TIMEOUT and has_two_ports(endpoint) and not is_connected
    return error.fault in _NOT_TLS or is_dropped


def has_become_plain(endpoint: Endpoint, error: UnreachableError) -> bool:
    """Tell whether a registry that spoke TLS speaks none any more, by how a request failed; one port is one server."""
    return not endpoint.secure and error.fault is Fault.TLS and not has_two_ports(endpoint)


class Schemes:
    """By which scheme hosts answer, of those that may be asked by plain HTTP.

    Who allows plain HTTP allows it for what he asks himself: what a host was found to speak then is no reason to ask it
    so for anybody else, nor when the settings allow it no more.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, endpoint: Endpoint) -> list[str]:
        """Return the schemes to try, in order: HTTPS first, HTTP behind it only for insecure registries."""
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
    """Tell whether a URL says by which scheme to ask; what a registry at the same host speaks is another matter."""
    return bool(endpoint.blob_path) or endpoint.mirror or endpoint.scheme == "http"


def is_of_registry(exchange: Exchange) -> bool:
    """Tell whether it is a registry that answers, and not whatever else may be at a port."""
    return exchange.status in _REGISTRYS or media_type_of(exchange) == _JSON


def wants_tls(exchange: Exchange) -> bool:
    """Tell whether a server was asked by plain HTTP where it speaks TLS: Go says so without any header."""
    return exchange.status == 400 and (not exchange.headers or media_type_of(exchange) == _HTML)


def is_of_web_server(exchange: Exchange) -> bool:
    """Tell whether it is a web server that knows of nothing: of the image that says nothing."""
    return exchange.status == 404 and media_type_of(exchange) == _HTML


def is_proxys_own(over_tls: UnreachableError, exchange: Exchange) -> bool:
    """Tell whether an answer is the proxy's, which has said the same to whoever asked it for a tunnel."""
    return over_tls.fault is Fault.PROXY and exchange.status >= 500 and over_tls.detail.endswith(f" {exchange.status}")
