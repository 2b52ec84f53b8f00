"""How much may be under way to this machine on a connection: no more than its rate needs for the round trip.

What lies in the receive buffer is lost when the process is killed; the kernel would let it grow to megabytes even on a
link of 0.1 ms. And what comes there before anybody reads it has crossed the link all the same.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import NamedTuple

_MIN_WINDOW = 128 * 1024
_LEAST_WINDOW = 16 * 1024
_SO_BUF_LOCK = 72  # asm-generic/socket.h, Linux 5.14: whether the kernel leaves a buffer's size alone
_SHORT_SECONDS = 0.1  # of a connection's part of a rate; the kernel doubles it, to the timer of a sender without room
_GIGABIT = 125_000_000
_TCP_INFO_RTT = slice(68, 72)  # tcpi_rtt, in microseconds (linux/tcp.h: struct tcp_info)


class KeptRate(NamedTuple):
    """A rate that downloads keep to.

    Attributes:
        rate: Bytes a second, of all connections that share it.
        sharing: How many they may be.
    """

    rate: float
    sharing: int


def clamp_window(sock: socket.socket, kept: KeptRate | None) -> None:
    """Let no more be under way than a rate needs; what the system does not know is left as it is.

    Args:
        sock: Connected.
        kept: What is kept to; None for a gigabit link's rate.
    """
    with suppress(OSError, AttributeError):
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        seconds = int.from_bytes(info[_TCP_INFO_RTT], "little") / 1e6
        if kept is None:
            sock.setsockopt(socket.SOL_SOCKET, _SO_BUF_LOCK, 0)
            window = max(_MIN_WINDOW, int(_GIGABIT * seconds))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, window)
        else:
            # The kernel lets the clamp follow where it lets the buffer grow; a size that is set it leaves alone.
            window = max(_LEAST_WINDOW, int(kept.rate * max(seconds, _SHORT_SECONDS / kept.sharing)))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
            # Linux 6.5 and later lower the clamp to a small buffer, and do not raise it with one that is set.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, 2 * window)
