"""Server-side TLS that lets a client know when its certificate is refused.

Rule: asyncio closes a connection whose handshake failed and drops what the failure has written, the alert; who shows no
      certificate then sees an end of file. So a failure that has an alert is raised one step later.
"""

from __future__ import annotations

import logging
import ssl

log = logging.getLogger(__name__)

_ALERTED = frozenset(("CERTIFICATE_VERIFY_FAILED", "PEER_DID_NOT_RETURN_A_CERTIFICATE"))


class TellingHandshake(ssl.SSLObject):
    """The TLS of one connection; what a context takes as its ``sslobject_class``."""

    _failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """Go on with the handshake; see `ssl.SSLObject`."""
        if self._failure is not None:
            raise self._failure
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            log.info("TLS handshake error: %s", error.reason)
            if error.reason not in _ALERTED:
                raise
            self._failure = error
            raise ssl.SSLWantReadError from error  # before it waits for more, asyncio sends what there is
