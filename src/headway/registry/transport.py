"""Connections to addresses: idle ones that can be used again, and new ones, through proxies and with TLS as set."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable

from headway.distribution.outages import Place
from headway.distribution.proxies import Proxy, ProxyRules
from headway.distribution.standing import Standing
from headway.errors import UnreachableError
from headway.registry.address import Address
from headway.registry.certificates import Certificates
from headway.registry.connection import Connection
from headway.registry.dialing import Race
from headway.registry.distrust import CertificateDoubt
from headway.registry.idle import IdleConnections
from headway.registry.meter import Meter
from headway.registry.names import Names
from headway.registry.sending import Body
from headway.registry.window import KeptRate

LOOK_SECONDS = 8.0  # a packet that opens a connection is sent again after 1, 3 and 7: the link may return meanwhile


class Transport:
    """What all exchanges of a process share; safe to use from any thread.

    Args:
        certificates: TLS settings by address.
        proxies: Returns who is reached through which proxy; asked for each exchange.
        names: Finds hosts.
        standing: What registries have shown, and will show.
        wall: Seconds since the epoch, as this machine has them.
        rate: Returns the rate that connections keep to now; None for no limit.

    Attributes:
        names: Finds hosts.
        standing: What registries have shown.
        rate: Returns the rate that connections keep to now.
        idle: Connections that wait for the next exchange.
        meter: What was asked and what came back, in all.
    """

    def __init__(
        self,
        certificates: Certificates | None = None,
        proxies: Callable[[], ProxyRules] = ProxyRules,
        *,
        names: Names | None = None,
        standing: Standing | None = None,
        wall: Callable[[], float] = time.time,
        rate: Callable[[], KeptRate | None] = lambda: None,
    ) -> None:
        self.standing = standing or Standing()
        self.names = names or Names(self.standing.addresses)
        self.rate = rate
        self.idle = IdleConnections()
        self.meter = Meter()
        self._wall = wall
        self._certificates = certificates or Certificates()
        self._proxies = proxies

    def proxy_for(self, address: Address) -> Proxy | None:
        """Return the proxy that leads to an address now, None where it is reached directly."""
        return self._proxies().proxy_for(address.scheme, address.host, address.port)

    def idle_one(self, address: Address, proxy: Proxy | None, body: Body | None) -> Connection | None:
        """Return an idle connection that may carry this body, too, if there is one."""
        while connection := self.idle.take(address, proxy, None if body is None else body.upload):
            may_carry = body is None or body.allowance is None or connection.carried + body.size <= body.allowance
            # What was said meanwhile (a 408, for waiting so long) would be taken for the answer.
            if may_carry and not connection.is_ended_by_peer():
                return connection
            connection.close()
        return None

    def connection(
        self,
        address: Address,
        proxy: Proxy | None,
        *,
        connect_seconds: float | None = None,
        hello_seconds: float | None = None,
    ) -> Connection:
        """Return a new connection, with nothing connected yet; the durations are those of `Connection`."""
        return Connection(
            address,
            self.context(address),
            self.names,
            self.standing,
            proxy=proxy,
            connect_seconds=connect_seconds,
            hello_seconds=hello_seconds,
        )

    def context(self, address: Address) -> ssl.SSLContext | None:
        """Return the TLS settings for an address, None for plain HTTP."""
        return self._certificates.context(address) if address.scheme == "https" else None

    def doubt(self, address: Address) -> CertificateDoubt:
        """Return what tells apart why a certificate of an address is not accepted."""
        return CertificateDoubt(self.standing, address, self._wall)

    def timeless_connection(self, address: Address, proxy: Proxy | None) -> Connection:
        """Return a new connection to whoever shows the right certificate, and wants ours, whatever the time is."""
        return Connection(address, self._certificates.timeless(address), self.names, self.standing, proxy=proxy)

    def look(self, place: Place) -> None:
        """Connect to a place and hang up, asking nothing; `standing` is told whether that could be done."""
        host, port = place
        try:
            addresses = self.names.lookup(host, seconds=LOOK_SECONDS)
            sock, _ = Race(addresses, port, seconds=LOOK_SECONDS).run()
        except (OSError, UnicodeError):
            self.names.forget(host)
            self.standing.outages.failed(place, now=time.monotonic())
        else:
            sock.close()
            self.standing.outages.worked(place)

    def close(self) -> None:
        """End every idle connection, and those that come back later."""
        self.idle.close()


def server_date(connection: Connection, address: Address, seconds: float) -> str | None:
    """Return what a server whose certificate seems out of date says of the time; nothing else of it is believed.

    Args:
        connection: One to which certificates may be of any time, which is closed then.
        address: Who is asked.
        seconds: How long the answer may take.
    """
    try:
        connection.connect()
        connection.limit(seconds)
        connection.request("HEAD", "/v2/", headers={"Host": str(address)})
        return connection.getresponse().headers.get("Date")
    except (UnreachableError, OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
