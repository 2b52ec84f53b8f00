"""Explains why a certificate is not accepted: it is not trusted, the clock here is wrong, or a portal intercepts."""

from __future__ import annotations

import email.utils
import ssl
import time
from collections.abc import Callable

from headway.distribution.clock import Complaint, is_clock_wrong
from headway.distribution.standing import Standing
from headway.errors import Fault, UnreachableError
from headway.registry.address import Address

_COMPLAINTS: dict[int, Complaint] = {9: "not yet valid", 10: "expired"}  # openssl/x509_vfy.h


class CertificateDoubt:
    """Explains a certificate of one address that TLS did not accept.

    Args:
        standing: Where the clock was found wrong, and which servers' certificates were accepted.
        address: The address that showed the certificate.
        wall: Returns seconds since the epoch by this machine's clock.
    """

    def __init__(self, standing: Standing, address: Address, wall: Callable[[], float]) -> None:
        self._standing = standing
        self._address = address
        self._wall = wall

    def require_clock(self) -> None:
        """Raise `UnreachableError` if the clock was found wrong a moment ago, and has not been set since."""
        said = self._standing.clock.still_wrong(str(self._address), wall=self._wall(), now=time.monotonic())
        if said:
            raise UnreachableError(str(self._address), Fault.CLOCK, said)

    def explained(self, error: ssl.SSLCertVerificationError, server_date: Callable[[], str | None]) -> UnreachableError:
        """Return the error to report.

        Args:
            error: The error from TLS.
            server_date: Returns the server's ``Date`` header; called only if that matters.
        """
        name = str(self._address)
        complaint = _COMPLAINTS.get(error.verify_code)
        there = seconds_of(server_date()) if complaint is not None else None
        here = self._wall()
        if complaint is not None and there is not None and is_clock_wrong(complaint, here=here, there=there):
            said = f"it says {_shown(here)}, {name} says {_shown(there)}; its certificate seems {complaint}"
            self._standing.clock.found_wrong(name, said, wall=here, now=time.monotonic())
            return UnreachableError(name, Fault.CLOCK, said)
        if self._address.host not in self._standing.trusted:
            return UnreachableError(name, Fault.CERTIFICATE, error.verify_message)
        # What was good a moment ago has not become another's: somebody stands in between for now.
        said = f"{error.verify_message}; it was trusted before: a captive portal in between?"
        portal = UnreachableError(name, Fault.CERTIFICATE, said)
        portal.retryable = True
        return portal


def seconds_of(date: str | None) -> float | None:
    """Return an HTTP date in seconds since the epoch; None if it is not valid."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, OverflowError):
        return None


def _shown(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
