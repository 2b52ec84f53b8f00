"""Updates the standing of registries (`distribution.standing`) from the answers and failures of all requests.

Rule: what follows from it is decided in `distribution`; here it is only recorded, one report at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from headway.distribution.health import What
from headway.distribution.quota import parse_quota
from headway.distribution.standing import Standing
from headway.errors import (
    DigestMismatchError,
    HeadwayError,
    HeldBackError,
    MisbehavedError,
    ThrottledError,
    UnavailableError,
    UnreachableError,
)
from headway.registry.exchange import Exchange

_SICK = (UnreachableError, UnavailableError, MisbehavedError, DigestMismatchError)
_BUSY = (429, 503)


class Record:
    """Writes into a `Standing`; safe to use from any thread.

    Args:
        standing: Where it is recorded.
        clock: Monotonic time, in seconds.
    """

    def __init__(self, standing: Standing, clock: Callable[[], float] = time.monotonic) -> None:
        self.standing = standing
        self._clock = clock
        self._lock = threading.Lock()

    def require_open(self, host: str) -> None:
        """Check that a registry may be asked now.

        Raises:
            HeldBackError: It has asked to be left alone for a time that has not passed.
        """
        left = self.standing.throttle.seconds_left(host, now=self._clock())
        if left > 0:
            raise HeldBackError(host, left)

    def answered(self, host: str, exchange: Exchange) -> None:
        """Record the headers of an answer."""
        quota = parse_quota(exchange.headers.get)
        with self._lock:
            if quota is not None:
                self.standing.quotas[host] = quota
            if exchange.status not in _BUSY:
                self.standing.throttle.answered(host)

    def failed(self, host: str, what: What, error: HeadwayError) -> None:
        """Record a failure, and add to the error how long the registry will be left alone, and its quota."""
        now = self._clock()
        if isinstance(error, ThrottledError):
            quota = self.standing.quotas.get(host)
            error.quota = quota.words() if quota is not None else ""
        elif isinstance(error, _SICK):
            self.standing.health.failed(host, what, now=now)
        if isinstance(error, ThrottledError | UnavailableError) and not isinstance(error, HeldBackError):
            asked = error.retry_after_seconds
            if asked or isinstance(error, ThrottledError):
                with self._lock:
                    error.wait_seconds = self.standing.throttle.refused(host, asked, now=now)

    def worked(self, host: str, what: What) -> None:
        """Record that a request got what it asked for."""
        self.standing.health.worked(host, what)
