"""How much may be under way to a connection whose download keeps to a rate."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import pytest

from headway.distribution.standing import Standing
from headway.registry.address import Address
from headway.registry.connection import Connection
from headway.registry.exchange import Exchange
from headway.registry.names import Names
from headway.registry.transport import Transport
from headway.registry.window import KeptRate

DOUBLED = 2  # the kernel counts its own needs as well (socket(7), SO_RCVBUF)


@pytest.mark.parametrize(
    ("kept", "room"),
    [
        (KeptRate(500_000, sharing=1), 50_000),
        (KeptRate(500_000, sharing=8), 16_384),
        (KeptRate(1_000_000, sharing=2), 50_000),
    ],
)
def test_a_rate_leaves_room_for_what_comes_while_a_sender_that_found_none_waits(kept: KeptRate, room: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as sock:
        connection = Connection(Address("http", *server.getsockname()), None, Names(), Standing())
        connection.sock = sock

        connection.clamp_window(kept)

        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == DOUBLED * room


def test_a_rate_that_changes_while_a_body_comes_changes_its_room_too() -> None:
    kept: list[KeptRate | None] = [KeptRate(200_000, sharing=1)]
    transport = Transport(rate=lambda: kept[0])
    with socket.create_server(("127.0.0.1", 0)) as server:
        exchange = Exchange(transport, Address("http", *server.getsockname()), "GET", "/")

        def serve() -> None:
            with server.accept()[0] as peer:
                peer.recv(65536)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbod")
                while (data := peer.recv(1)) != b"":
                    peer.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        exchange.send()
        exchange.read()
        connection = exchange._connection
        assert connection is not None
        assert connection.sock is not None
        sock = connection.sock
        before = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        kept[0] = KeptRate(900_000, sharing=1)
        sock.sendall(b"y")
        exchange.read()
        after = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        exchange.close()
        thread.join()

    assert (before, after) == (DOUBLED * 20_000, DOUBLED * 90_000)


def test_a_rate_that_is_raised_opens_the_window_that_a_lower_one_has_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1448)  # as on a link: loopback's are larger than windows
        sock.connect(server.getsockname())
        connection = Connection(Address("http", *server.getsockname()), None, Names(), Standing())
        connection.sock = sock

        def send() -> None:
            with server.accept()[0] as peer, suppress(ConnectionError):
                while True:
                    peer.sendall(bytes(65536))

        thread = threading.Thread(target=send)
        thread.start()
        connection.clamp_window(None)
        connection.clamp_window(KeptRate(200_000, sharing=1))
        left = 800_000
        while left > 0:
            left -= len(sock.recv(4096))
        connection.follow_rate(KeptRate(5_000_000, sharing=1))
        clamp = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP)
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()
        thread.join()

    assert clamp >= 500_000
