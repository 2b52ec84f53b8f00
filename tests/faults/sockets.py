"""What the link and the registry do to their sockets, so that a count of bytes is the truth.

A reset destroys what the sender's kernel still holds. Whoever counts bytes therefore waits until the peer's
kernel has them, or takes the rest off the count.
"""

from __future__ import annotations

import fcntl
import socket
import struct

SEND_BUFFER = 64 * 1024
"""Small, so that what was handed to a socket is nearly what its peer has."""


_SIOCOUTQNSD = 0x894B  # linux/sockios.h


def unsent(sock: socket.socket) -> int:
    """Return how many bytes handed to `sock` have not left it.

    On loopback, what has left is in the peer's kernel. What is acknowledged says less: that is delayed.
    """
    return int(struct.unpack("i", fcntl.ioctl(sock, _SIOCOUTQNSD, bytes(4)))[0])


def close_with_reset(sock: socket.socket) -> int:
    """Close `sock` with RST instead of FIN; return how many bytes that took away from the peer."""
    lost = unsent(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    return lost


def listen(port: int = 0, *, backlog: int = 128) -> socket.socket:
    """Return a socket that listens on 127.0.0.1, on a free port unless one is given."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(backlog)
    return sock
