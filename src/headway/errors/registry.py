"""Errors of the other side: of a registry, of a mirror or proxy in front of it, or of the network in between."""

from __future__ import annotations

from enum import StrEnum

from headway.errors.side import HeadwayError, Side


class Fault(StrEnum):
    """How a registry could not be reached, or a connection to it was lost."""

    UNKNOWN_NAME = "its name does not exist"
    LED_NOWHERE = "it leads to a name that does not exist"
    NO_DNS = "no name server answers"
    REFUSED = "connection refused"
    NO_ROUTE = "no route"
    FORBIDDEN = "this machine does not let headway connect"
    TIMEOUT = "no answer in time"
    TLS = "TLS failed"
    CERTIFICATE = "its certificate is not trusted"
    CLOCK = "this machine's clock is wrong"
    CUT = "connection lost"
    STALLED = "connection went silent"
    PROXY = "the proxy cannot reach it"


class RegistryError(HeadwayError):
    """Something is wrong on the other side.

    Attributes:
        endpoint: Host and port of the endpoint; empty where it is not known.
        reason: The message, without the endpoint.
    """

    def __init__(self, endpoint: str, message: str) -> None:
        super().__init__(f"{endpoint}: {message}" if endpoint else message)
        self.endpoint = endpoint
        self.reason = message


_SIDES = {
    Fault.NO_ROUTE: Side.HERE,
    Fault.FORBIDDEN: Side.HERE,
    Fault.CLOCK: Side.HERE,
    Fault.UNKNOWN_NAME: Side.YOU,
    Fault.CUT: Side.WAY,
    Fault.STALLED: Side.WAY,
    Fault.TIMEOUT: Side.WAY,
}


class UnreachableError(RegistryError):
    """There was no connection, or it was lost: DNS, TCP, TLS, silence.

    Attributes:
        fault: What happened.
        detail: Details, as the system or a library reports them; empty for none.
        unconnected: Host and port, maybe of a proxy, that could not be connected to; None if a connection was made.
    """

    retryable = True
    unconnected: tuple[str, int] | None = None

    def __init__(self, endpoint: str, fault: Fault, detail: str = "") -> None:
        super().__init__(endpoint, f"{fault}" + (f" ({detail})" if detail else ""))
        self.fault = fault
        self.detail = detail
        self.brief = fault.value
        self.side = _SIDES.get(fault)
        self.retryable = fault is not Fault.CERTIFICATE


class RefusedError(RegistryError):
    """401 or 403, after authentication was tried.

    Attributes:
        status: The HTTP status.
        code: The distribution-spec error code, such as ``DENIED``, or an empty string.
        said: The registry's reason, in its own words; empty for none.
    """

    side = Side.YOU
    brief = "access refused"

    def __init__(self, endpoint: str, status: int, code: str = "", message: str = "") -> None:
        super().__init__(endpoint, message or f"access refused (HTTP {status})")
        self.status = status
        self.code = code
        self.said = message


class ProxyRefusedError(RefusedError):
    """The proxy refuses, not the registry.

    Attributes:
        wants_login: Whether a login, or another one, is what it wants; else it does not let anybody through.
        to: Where it was to lead: the registry, or whoever that sends us to.
    """

    side = Side.WAY
    brief = "refused by the proxy"

    def __init__(self, proxy: str, status: int, to: str, *, had_login: bool = False, unknown: str = "") -> None:
        self.to = to
        said = f"does not let this request through to {to}"
        self.wants_login = status in (401, 407) and not unknown  # some say 401 to a wrong login
        if self.wants_login:
            said = "does not accept its login" if had_login else "wants a login"
        elif unknown:
            said = f"wants a login by {unknown}, which Headway does not know"
        super().__init__(f"the proxy {proxy}", status, "", f"{said} (HTTP {status})")


def _wait(seconds: float | None) -> str:
    return "" if seconds is None else f"; it asks to wait {seconds:.0f} s"


class ThrottledError(RegistryError):
    """429: too many requests.

    Attributes:
        retry_after_seconds: How long the registry asked us to wait; None where it did not say.
        wait_seconds: How long this process will send it no request; None where that is not known.
        quota: How many requests it allows in what time, in words; empty where it does not say.
    """

    side = Side.REGISTRY
    retryable = True
    brief = "too many requests"

    def __init__(self, endpoint: str, retry_after_seconds: float | None, message: str = "") -> None:
        super().__init__(endpoint, (message or "too many requests") + _wait(retry_after_seconds))
        self.retry_after_seconds = retry_after_seconds
        self.wait_seconds: float | None = None
        self.quota = ""


class HeldBackError(ThrottledError):
    """No request was sent: the registry has asked, in another answer, to be left alone for a time."""

    brief = "held back"

    def __init__(self, endpoint: str, wait_seconds: float) -> None:
        super().__init__(endpoint, None, f"it asked to be left alone for {wait_seconds:.0f} s more")
        self.wait_seconds = wait_seconds


class FetchRefusedError(RegistryError):
    """A web server does not send the file of a URL; in Docker's words (moby-behaviour 6.7).

    Attributes:
        status: The HTTP status.
    """

    brief = "not given"

    def __init__(self, endpoint: str, url: str, status: int, reason: str, said: str) -> None:
        super().__init__(endpoint, f"failed to GET {url} with status {status} {reason}: {said}".rstrip(": \n"))
        self.args = (self.reason,)
        self.status = status
        self.retryable = status in (408, 429) or status >= 500
        self.side = Side.REGISTRY if status >= 500 else Side.YOU


class UnavailableError(RegistryError):
    """5xx: the registry, or something in front of it, is broken for now.

    Attributes:
        status: The HTTP status.
        retry_after_seconds: From its ``Retry-After`` header, or None.
        wait_seconds: As for `ThrottledError`.
    """

    side = Side.REGISTRY
    retryable = True
    brief = "registry out of order"

    def __init__(self, endpoint: str, status: int, retry_after_seconds: float | None = None) -> None:
        super().__init__(endpoint, f"answers HTTP {status}{_wait(retry_after_seconds)}")
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.wait_seconds: float | None = None


class MisbehavedError(RegistryError):
    """The answer violates the distribution specification, or is not from a registry at all (captive portals)."""

    side: Side | None = Side.REGISTRY
    retryable = True
    brief = "wrong answer"


class WebPageError(MisbehavedError):
    """The answer is a web page, not a registry's: from a captive portal, or from a proxy in between."""

    side = None  # it may also be a page of the registry itself

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, "a web page answers instead of a registry (a captive portal or a proxy in between?)")


class WrongSizeError(MisbehavedError):
    """A registry says that a blob has another size than its descriptor promises.

    Attributes:
        size: The size it names, in bytes.
    """

    def __init__(self, endpoint: str, size: int, expected: int) -> None:
        super().__init__(endpoint, f"has {size} bytes where {expected} belong to this blob")
        self.size = size


class ForgetfulRegistryError(MisbehavedError):
    """The registry accepts an upload and forgets it, again and again."""

    retryable = False

    def __init__(self, endpoint: str, how: str) -> None:
        super().__init__(endpoint, f"{how}, three times in a row, though no connection broke; its storage seems broken")


class RejectedError(RegistryError):
    """4xx, 501 or 505: the registry does not or cannot accept the request; sending it again would not help.

    Attributes:
        status: The HTTP status.
    """

    side = Side.REGISTRY
    brief = "not taken"

    def __init__(self, endpoint: str, status: int, reason: str) -> None:
        super().__init__(endpoint, reason)
        self.status = status


class TooLargeError(RegistryError):
    """413: the registry, or a proxy before it, does not accept so much in one request.

    Attributes:
        size: Bytes that were sent, or were to be sent, in the request.
    """

    side = Side.REGISTRY
    brief = "too large"

    def __init__(self, endpoint: str, size: int) -> None:
        super().__init__(endpoint, f"does not take {size:,} bytes in one request (HTTP 413)")
        self.size = size
