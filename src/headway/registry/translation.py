"""Translates what sockets, TLS and http.client raise into errors that say whose fault it is.

Rule: the adapter translates them here and nowhere else.
"""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from headway.distribution.endpoints import DOCKER_HUB_HOST
from headway.distribution.remedies import SPEAKS_NO_TLS
from headway.errors import NO_MORE_FILES, Fault, HeadwayError, MisbehavedError, ShortageError, Side, UnreachableError
from headway.registry.dialing import NO_ROUTE
from headway.registry.names import LookupTimeoutError
from headway.registry.response import HEAD_SECONDS, SlowHeadError
from headway.registry.tls import HelloTimeoutError

SHOWN_CHARACTERS = 80
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
"""Reasons that OpenSSL's versions give for an answer that is not TLS; mostly it is plain HTTP."""
_TRICKLES = f"its headers trickle, and are not whole after {HEAD_SECONDS:.0f} seconds"


@contextmanager
def translated(endpoint: str, *, waiting: Fault = Fault.TIMEOUT, led_by: str = "") -> Iterator[None]:
    """Turn what sockets, TLS and http.client raise into `UnreachableError`, `MisbehavedError` and `ShortageError`.

    Args:
        endpoint: Host and port, for the message.
        waiting: The fault that a time-out means here.
        led_by: The registry that redirected to the endpoint, or has its tokens there; empty where the user named it.
    """
    try:
        yield
    except HeadwayError:
        raise
    except http.client.HTTPException as error:
        raise _misread(endpoint, error) from error
    except OSError as error:
        if error.errno in NO_MORE_FILES:
            raise ShortageError("open files") from error
        fault, detail = _fault(error, waiting)
        if fault is Fault.UNKNOWN_NAME and led_by:
            raise UnreachableError(led_by, Fault.LED_NOWHERE, endpoint) from error
        raise _unreachable(endpoint, fault, detail) from error
    except ValueError as error:  # after OSError: ssl.SSLCertVerificationError is both
        raise _misread(endpoint, error) from error


def _unreachable(endpoint: str, fault: Fault, detail: str) -> UnreachableError:
    error = UnreachableError(endpoint, fault, detail)
    if fault is Fault.UNKNOWN_NAME and endpoint == DOCKER_HUB_HOST:  # our own constant, so nobody has misspelt it
        error.side = Side.WAY
    return error


def _misread(endpoint: str, error: http.client.HTTPException | ValueError) -> HeadwayError:
    match error:
        case http.client.RemoteDisconnected():
            return UnreachableError(endpoint, Fault.CUT, "closed without an answer")
        case http.client.IncompleteRead():
            return UnreachableError(endpoint, Fault.CUT)
        case http.client.HTTPException():
            said = f"{type(error).__name__}: {_shown(error)}"
            return MisbehavedError(endpoint, f"does not speak HTTP as it should ({said})")
        case UnicodeError():
            return UnreachableError(endpoint, Fault.UNKNOWN_NAME, "not a name that can exist")
        case _:
            return MisbehavedError(endpoint, f"sends a header that cannot be read ({_shown(error)})")


def _shown(error: Exception) -> str:
    """Return a library's message about bytes that a server sent, shortened and safe for a terminal."""
    return ascii(str(error))[:SHOWN_CHARACTERS]


def _fault(error: OSError, waiting: Fault) -> tuple[Fault, str]:
    match error:
        case HelloTimeoutError():
            return Fault.TLS, "no answer to the TLS hello"
        case ssl.SSLCertVerificationError():
            return Fault.CERTIFICATE, error.verify_message
        case ssl.SSLError():
            return Fault.TLS, SPEAKS_NO_TLS if error.reason in _NO_TLS else error.reason or str(error)
        case LookupTimeoutError() | socket.gaierror():
            return _name_fault(error), ""
        case TimeoutError():
            return (Fault.TIMEOUT, _TRICKLES) if isinstance(error, SlowHeadError) else (waiting, "")
        case _:
            return _socket_fault(error)


def _socket_fault(error: OSError) -> tuple[Fault, str]:
    match error:
        case ConnectionRefusedError():
            return Fault.REFUSED, ""
        case OSError(errno=number) if number in NO_ROUTE:
            return Fault.NO_ROUTE, os.strerror(number or 0)
        case PermissionError(errno=number):  # AppArmor, SELinux, BPF, a firewall's own rule, or a route that prohibits
            return Fault.FORBIDDEN, f"{errno.errorcode.get(number or 0, number)}: {error.strerror}"
        case _:
            return Fault.CUT, error.strerror or ""


def _name_fault(error: OSError) -> Fault:
    """Return the fault of a failed lookup; EAI_AGAIN means that the name server fails (SERVFAIL) or does not answer."""
    failed = isinstance(error, LookupTimeoutError) or error.errno in (socket.EAI_AGAIN, socket.EAI_FAIL)
    return Fault.NO_DNS if failed else Fault.UNKNOWN_NAME
