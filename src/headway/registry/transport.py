"""Gives connections to addresses: idle ones, and new ones through proxies and with TLS as the settings say."""

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

LOOK_SECONDS = 8.0  # the kernel repeats a SYN after 1, 3 and 7 seconds, and the link may return in between


class Transport:
    """What all exchanges of a process share; safe to use from any thread.

    Args:
        certificates: TLS settings by address.
        proxies: Returns the rules that choose a proxy for a host; called for each exchange.
        names: Looks up host names.
        standing: What is known of registries; updated by every exchange.
        wall: Seconds since the epoch, by this machine's clock.
        rate: Returns the rate limit of connections at this moment; None for no limit.

    Attributes:
        names: Looks up host names.
        standing: See above.
        rate: See above.
        idle: Connections that wait for the next exchange.
        meter: Counts requests and bytes of all exchanges.
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
        """Return the proxy for an address at this moment; None where it is reached directly."""
        return self._proxies().proxy_for(address.scheme, address.host, address.port)

    def idle_one(self, address: Address, proxy: Proxy | None, body: Body | None) -> Connection | None:
        """Return an idle connection whose allowance has room for `body`; None where there is none."""
        while connection := self.idle.take(address, proxy, None if body is None else body.upload):
            may_carry = body is None or body.allowance is None or connection.carried + body.size <= body.allowance
            # Anything sent in the meantime (a 408, say, for being idle) would be taken for the answer.
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
        """Return a helper that finds out why a certificate of an address is not accepted."""
        return CertificateDoubt(self.standing, address, self._wall)

    def timeless_connection(self, address: Address, proxy: Proxy | None) -> Connection:
        """Return a new connection to whoever shows the right certificate, and wants ours, whatever the time is."""
        return Connection(address, self._certificates.timeless(address), self.names, self.standing, proxy=proxy)

    def look(self, place: Place) -> None:
        """Connect to a place and hang up without a request; record in `standing.outages` whether that worked."""
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
        """Close every idle connection, and those that are given back later."""
        self.idle.close()


def server_date(connection: Connection, address: Address, seconds: float) -> str | None:
    """Return the ``Date`` of a server whose certificate seems out of date; nothing else it says is believed.

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
