"""Measures each stage of a first request to a registry: name lookup, connection, TLS, answer."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import suppress

from headway.distribution.black_hole import TRIES
from headway.distribution.diagnosis import Reached
from headway.distribution.endpoints import Endpoint
from headway.errors import Fault, UnreachableError
from headway.registry.address import Address
from headway.registry.connection import Connection
from headway.registry.distrust import seconds_of
from headway.registry.exchange import LARGE_BYTES
from headway.registry.names import is_literal
from headway.registry.translation import translated
from headway.registry.transport import Transport

WAIT_SECONDS = 9.0
_TCP_INFO_RECEIVED_SEGMENT = slice(20, 24)  # tcpi_rcv_mss (linux/tcp.h: struct tcp_info)


class RegistryProbe:
    """Implements `interfaces.registries.Probe`.

    Args:
        transport: How this process reaches registries.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def reach(self, endpoint: Endpoint) -> Reached:
        """See `interfaces.registries.Probe.reach`."""
        scheme = endpoint.scheme
        try:
            return self._by(scheme, endpoint)
        except UnreachableError as error:
            if endpoint.secure or scheme == "http" or error.fault in (Fault.UNKNOWN_NAME, Fault.NO_DNS, Fault.TIMEOUT):
                raise
        return self._by("http", endpoint)

    def _by(self, scheme: str, endpoint: Endpoint) -> Reached:
        address = Address.parse(scheme, endpoint.host, verify=endpoint.secure, registry=endpoint.host)
        try:
            return self._once(address, endpoint, only_small=False)
        except UnreachableError as error:
            if error.fault not in (Fault.TLS, Fault.TIMEOUT, Fault.STALLED):
                raise
            for _ in range(TRIES):
                self._transport.standing.black_hole.swallowed(address.owner)
            try:
                return self._once(address, endpoint, only_small=True)
            except UnreachableError:
                raise error from None  # size was not what it was about

    def _once(self, address: Address, endpoint: Endpoint, *, only_small: bool) -> Reached:
        proxy = self._transport.proxy_for(address)
        nearest = proxy.host if proxy is not None else address.host
        connection = self._transport.connection(
            address, proxy, connect_seconds=WAIT_SECONDS, hello_seconds=WAIT_SECONDS
        )
        with translated(str(address)):
            began = time.monotonic()
            addresses = self._transport.names.lookup(nearest, seconds=WAIT_SECONDS)
            named = time.monotonic() - began
            try:
                connection.connect()
                took = connection.took
                connection.limit(WAIT_SECONDS)
                asked = time.monotonic()
                connection.request("GET", f"{endpoint.prefix}/v2/", headers={"Host": str(address)})
                response = connection.getresponse()
                _require_body(response)
                self._transport.meter.answered(response.head_bytes)
                return Reached(
                    host=endpoint.host,
                    addresses=tuple(addresses),
                    names_seconds=None if is_literal(nearest) else named,
                    proxy=str(proxy) if proxy is not None else "",
                    connect_seconds=took.get("connect", 0.0),
                    tls_version=connection.tls_version,
                    tls_seconds=took.get("hello", 0.0),
                    answer_seconds=time.monotonic() - asked,
                    clock_seconds=_ahead(response),
                    segment_bytes=_segment(connection),
                    only_small=only_small,
                )
            finally:
                connection.close()


def _require_body(response: http.client.HTTPResponse) -> None:
    """Read so much of a body that large packets have come through, if it has so much."""
    data = response.read(LARGE_BYTES)
    if response.length and len(data) < LARGE_BYTES:
        raise http.client.IncompleteRead(data, response.length)


def _ahead(response: http.client.HTTPResponse) -> float | None:
    there = seconds_of(response.getheader("Date"))
    return None if there is None else time.time() - there


def _segment(connection: Connection) -> int:
    sock = connection.sock
    with suppress(OSError, AttributeError):
        if sock is not None:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
            return int.from_bytes(info[_TCP_INFO_RECEIVED_SEGMENT], "little")
    return 0
