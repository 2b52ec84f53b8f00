"""Counts the requests and bytes of one process to and from registries."""

from __future__ import annotations

import threading
from collections import defaultdict

from headway.interfaces.traffic import Errand, Traffic, account, errand


class Meter:
    """Counts requests and what came back for them; any thread may call.

    Attributes:
        requests: How many were answered, those for tokens and redirects included.
        received_bytes: What came over all connections, headers included (as counted before TLS).
        sent_bytes: What bodies of requests took on their way there, those that were sent again too.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = 0
        self.received_bytes = 0
        self.sent_bytes = 0
        self._counted: dict[Errand, Traffic] = defaultdict(Traffic)

    def answered(self, header_bytes: int) -> None:
        """Take note of an answer's headers."""
        with self._lock:
            self.requests += 1
            if (charged := account()) is not None:
                charged.requests += 1
            self._add(header_bytes)

    def received(self, count: int) -> None:
        """Take note of what came of a body."""
        with self._lock:
            self._add(count)

    def sent(self, count: int) -> None:
        """Take note of what went up of a body."""
        with self._lock:
            self.sent_bytes += count
            self._charge(Traffic(sent=count))

    def _add(self, count: int) -> None:
        self.received_bytes += count
        self._charge(Traffic(received=count))

    def useful(self, count: int) -> None:
        """See `interfaces.traffic.TrafficCounter`."""
        self._count(Traffic(useful=count))

    def reused(self, count: int) -> None:
        """See `interfaces.traffic.TrafficCounter`."""
        self._count(Traffic(reused=count))

    def _count(self, traffic: Traffic) -> None:
        if traffic == Traffic():
            return  # a registry whose mirror gave everything is not listed for that
        with self._lock:
            self._charge(traffic)

    def _charge(self, traffic: Traffic) -> None:
        now = errand()
        self._counted[now] += traffic
        if (charged := account()) is not None:
            charged.add(now.registry, traffic)

    @property
    def has_counted(self) -> bool:
        """See `interfaces.traffic.TrafficCounter`."""
        return bool(self._counted)

    def take(self) -> dict[Errand, Traffic]:
        """See `interfaces.traffic.TrafficCounter`."""
        with self._lock:
            counted, self._counted = self._counted, defaultdict(Traffic)
            return counted
