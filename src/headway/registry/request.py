"""One request to an endpoint, with whatever it takes: authentication, redirects, and HTTP where HTTPS cannot work.

Rule 1: it is tried once; whether to try again, or another endpoint, is decided in `distribution`.
Rule 2: it is not sent while the registry has asked to be left alone, no matter which request was told so.
Rule 3: ``Authorization`` goes to the registry that asked for it, and to no host that it redirects to.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType

from headway.distribution.challenge import Access
from headway.distribution.endpoints import Endpoint
from headway.distribution.health import What
from headway.errors import HeadwayError, MisbehavedError, UnreachableError, WebPageError
from headway.registry.address import Address
from headway.registry.answers import MAX_REDIRECTS, redirected_to
from headway.registry.auth import Authorizer
from headway.registry.credentials import CredentialSource
from headway.registry.exchange import Exchange
from headway.registry.failures import failure
from headway.registry.plain_http import (
    Schemes,
    has_become_plain,
    has_two_ports,
    is_of_registry,
    is_of_web_server,
    is_proxys_own,
    may_be_plain,
    wants_tls,
)
from headway.registry.record import Record
from headway.registry.sending import Body
from headway.registry.transport import Transport

FALLBACK_HELLO_SECONDS = 3.0
MIRROR_SECONDS = 4.0  # how long a mirror may take to its first byte: there is another endpoint to try
_WORKED = {200, 201, 202, 204}


class Sender:
    """What the requests of one client share; safe to use from any thread.

    Args:
        transport: How this process reaches registries.
        credentials: Returns the credentials for a host and repository.
        hello_seconds: How long an insecure registry may be silent after the TLS hello before plain HTTP is tried;
            doubled each time that this has turned out too short.
        offline: See `Authorizer`.
        clock: Monotonic time, in seconds, for the times during which registries are left alone.

    Attributes:
        transport: See above.
        hello_seconds: See above.
        record: Updates the standing of registries from all requests.
        authorizer: Answers the registries' challenges.
        schemes: The schemes by which hosts have answered.
    """

    def __init__(
        self,
        transport: Transport,
        credentials: CredentialSource,
        *,
        hello_seconds: float = FALLBACK_HELLO_SECONDS,
        offline: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.transport = transport
        self.hello_seconds = hello_seconds
        self.record = Record(transport.standing, clock)
        self.authorizer = Authorizer(transport, credentials, offline=offline)
        self.schemes = Schemes()


class Request:
    """One request to an endpoint. A context manager, which records how it went and closes its connection.

    Args:
        sender: Connections, logins and memory of hosts.
        endpoint: Where to send it.
        access: The access it needs; a text is the path of a repository to read from.
        method: HTTP method.
        target: Path and query, behind the endpoint's prefix.
        headers: In addition to those that every request has.
        body: What is sent up; it is sent again where the first answer is a 401 that a new token mends.

    Attributes:
        received: Bytes received in exchanges that are over, headers included.
        limit_seconds: How long an answer may take.
    """

    def __init__(
        self,
        sender: Sender,
        endpoint: Endpoint,
        access: Access | str,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Body | None = None,
    ) -> None:
        self._sender = sender
        self._endpoint = endpoint
        self._access = Access(access) if isinstance(access, str) else access
        self._body = body
        self._method = method
        self._target = endpoint.prefix + target
        self._headers = headers
        self._lock = threading.Lock()
        self._aborted = False
        self._exchange: Exchange | None = None
        self._what: What = "blob" if "/blobs/" in target or endpoint.blob_path else "manifest"
        self._connect_seconds = self._hello_seconds = MIRROR_SECONDS if endpoint.mirror else None
        self.received = 0
        self.limit_seconds = sender.record.standing.patience.seconds(endpoint.host, "answer")

    def __enter__(self) -> Request:
        return self

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, HeadwayError):
            self.failed(error)
        elif error is None and self._exchange is not None and self._exchange.status in _WORKED:
            self.worked()
        self.close()

    def failed(self, error: HeadwayError) -> None:
        """Record what was wrong with the answer, or why there was none."""
        if not self._aborted:  # an abort of ours says nothing about the registry
            self._sender.record.failed(self._endpoint.host, self._what, error)

    def worked(self) -> None:
        """Record that the answer was as it should be."""
        self._sender.record.worked(self._endpoint.host, self._what)

    def send(self) -> Exchange:
        """Return the final exchange, after challenges and redirects; its status may be that of an error.

        Raises:
            HeldBackError: The registry has asked to be left alone for now.
            RegistryError: Nobody answers, or something that is not a registry.
        """
        self._sender.record.require_open(self._endpoint.host)
        exchange = self._sent()
        self._sender.record.answered(self._endpoint.host, exchange)
        return exchange

    def _sent(self) -> Exchange:
        schemes = self._sender.schemes.of(self._endpoint)
        if len(schemes) > 1:
            return self._sent_by_either()
        try:
            exchange = self._authorized(schemes[0])
        except UnreachableError as error:
            if not has_become_plain(self._endpoint, error) or not self._sender.schemes.changed(self._endpoint):
                raise
            return self._sent_by_either()
        if self._is_told(exchange, wants_tls) and self._sender.schemes.changed(self._endpoint):
            return self._sent_by_either()
        return exchange

    def _sent_by_either(self) -> Exchange:
        patience = self._sender.record.standing.patience
        self._hello_seconds = self._sender.hello_seconds * patience.factor(self._endpoint.host, "hello")
        if has_two_ports(self._endpoint):
            self._connect_seconds = self._sender.hello_seconds
        try:
            return self._authorized("https")
        except (UnreachableError, MisbehavedError) as error:
            is_known = self._sender.schemes.of(self._endpoint) == ["https"]
            if is_known or not may_be_plain(self._endpoint, error, is_connected=self._is_connected):
                raise
            over_tls = error
        self._connect_seconds = None
        exchange = self._authorized("http")
        if self._is_told(exchange, wants_tls):
            raise over_tls
        if self._is_told(exchange, is_of_web_server):  # at another port than TLS, it may be beside a registry
            raise over_tls if has_two_ports(self._endpoint) else WebPageError(self._endpoint.host)
        if isinstance(over_tls, UnreachableError) and is_proxys_own(over_tls, exchange):
            raise over_tls
        return exchange

    @property
    def _is_connected(self) -> bool:
        return self._exchange is not None and self._exchange.is_connected

    def _is_told(self, exchange: Exchange, what: Callable[[Exchange], bool]) -> bool:
        """Tell whether `what` holds of an answer that came over plain HTTP from the endpoint itself."""
        return exchange.address == self._address("http") and what(exchange)

    def _address(self, scheme: str) -> Address:
        return Address.parse(scheme, self._endpoint.host, verify=self._endpoint.secure, registry=self._endpoint.host)

    def _authorized(self, scheme: str) -> Exchange:
        address = self._address(scheme)
        if self._endpoint.blob_path:
            return self._redirected(address, self._headers)
        for _ in range(3):
            sent = self._sender.authorizer.header(self._endpoint, self._access, self._begin)
            exchange = self._redirected(address, {**self._headers, **({"Authorization": sent} if sent else {})})
            if exchange.status != 401 or exchange.address != address:
                return exchange
            challenges = exchange.headers.get_all("WWW-Authenticate") or []
            if not self._sender.authorizer.challenged(self._endpoint, self._access, challenges, sent):
                break
            exchange.finish()
        raise self._sender.authorizer.refused(self._endpoint, self._access, challenges, sent)

    def _redirected(self, address: Address, headers: Mapping[str, str]) -> Exchange:
        origin, target = address, self._target
        for _ in range(MAX_REDIRECTS + 1):
            sent = {name: value for name, value in headers.items() if name != "Authorization" or address == origin}
            exchange = Exchange(self._sender.transport, address, self._method, target, sent, body=self._body)
            self._begin(exchange).send()
            if address == origin and (address.scheme == "https" or is_of_registry(exchange)):
                # TLS may have failed only once: a stranger that answers on plain HTTP is no reason to give it up.
                self._sender.schemes.worked(self._endpoint, address.scheme)
            following = redirected_to(exchange, target)
            if following is None:
                return exchange
            exchange.finish()
            address, target = following
            self._sender.record.require_open(self._endpoint.host)  # another request may have been throttled meanwhile
        raise MisbehavedError(self._endpoint.host, f"redirects more than {MAX_REDIRECTS} times")

    def _begin(self, exchange: Exchange) -> Exchange:
        self.close()
        with self._lock:
            if self._aborted:
                exchange.abort()
            self._exchange = exchange
        if exchange.stage == "answer":  # an upload has time limits of its own; the token request before it has none
            first_byte = MIRROR_SECONDS if self._endpoint.mirror else self.limit_seconds
            exchange.limit_seconds = min(self.limit_seconds, first_byte)
        # A proxy is silent while it connects to the registry: unlike a port that drops everything, it gets its time.
        if self._endpoint.mirror or (self._connect_seconds is not None and exchange.is_direct):
            exchange.connect_seconds = self._connect_seconds
        exchange.hello_seconds = self._hello_seconds
        return exchange

    @property
    def carried(self) -> int:
        """`Exchange.carried` of the current exchange."""
        return self._exchange.carried if self._exchange is not None else 0

    def failure(self, what: str, name: str) -> HeadwayError:
        """Return the error that the answer means; to be called after `send`, where its status is an error's."""
        exchange = self._exchange
        assert exchange is not None  # noqa: S101  # only called behind send()
        return failure(self._endpoint.host, exchange, what=what, name=name)

    def abort(self) -> None:
        """Make a call that blocks in another thread end."""
        with self._lock:
            self._aborted = True
            if self._exchange is not None:
                self._exchange.abort()

    def close(self) -> None:
        """Close the connection, or keep it for the next request."""
        with self._lock:
            exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self.received += exchange.received
            exchange.close()
