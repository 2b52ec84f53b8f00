"""A look whether a place can be connected to: nothing is asked over the connection."""

from __future__ import annotations

import time

from headway.distribution.outages import Outages, Place
from headway.registry.dialing import Race
from headway.registry.names import Names

LOOK_SECONDS = 8.0  # a packet that opens a connection is sent again after 1, 3 and 7: the link may return meanwhile


def look(place: Place, names: Names, outages: Outages) -> None:
    """Connect to a place, hang up, and report whether that could be done."""
    host, port = place
    try:
        addresses = names.lookup(host, seconds=LOOK_SECONDS)
        sock, _ = Race(addresses, port, seconds=LOOK_SECONDS).run()
    except (OSError, UnicodeError):
        names.forget(host)
        outages.failed(place, now=time.monotonic())
    else:
        sock.close()
        outages.worked(place)
