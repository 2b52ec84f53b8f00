"""How much may be under way to a connection whose download keeps to a rate."""

from __future__ import annotations

import socket

import pytest

from headway.distribution.standing import Standing
from headway.registry.address import Address
from headway.registry.connection import Connection, KeptRate
from headway.registry.names import Names

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
