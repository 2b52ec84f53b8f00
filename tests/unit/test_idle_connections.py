"""Connections that wait for the next exchange, and how long."""

from __future__ import annotations

import socket

from headway.distribution.standing import Standing
from headway.registry.address import Address
from headway.registry.connection import Connection
from headway.registry.idle import KEEP_ALIVE_SECONDS, IdleConnections
from headway.registry.names import Names

FIRST, SECOND = Address("http", "a.test", 80), Address("http", "b.test", 80)


def connected(address: Address) -> Connection:
    connection = Connection(address, None, Names(), Standing())
    connection.sock, other = socket.socketpair()
    other.close()
    return connection


def test_the_latest_is_taken_first_and_each_once() -> None:
    idle = IdleConnections()
    first, second = connected(FIRST), connected(FIRST)
    idle.give_back(FIRST, first)
    idle.give_back(FIRST, second)

    assert [idle.take(FIRST, None) for _ in range(3)] == [second, first, None]
    for connection in (first, second):
        connection.close()


def test_one_that_has_waited_too_long_is_ended_whoever_is_asked_next() -> None:
    now = [0.0]
    idle = IdleConnections(clock=lambda: now[0])
    old, new, fresh = connected(FIRST), connected(FIRST), connected(SECOND)
    idle.give_back(FIRST, old)
    now[0] += KEEP_ALIVE_SECONDS - 1
    idle.give_back(FIRST, new)
    now[0] += 2
    idle.give_back(SECOND, fresh)

    assert [connection.sock is None for connection in (old, new, fresh)] == [True, False, False]
    idle.close()
    assert [connection.sock is None for connection in (new, fresh)] == [True, True]


def test_one_that_is_given_back_too_late_is_ended() -> None:
    idle = IdleConnections()
    idle.close()
    late = connected(FIRST)
    idle.give_back(FIRST, late)

    assert late.sock is None


def test_the_parts_of_an_upload_keep_to_one_connection() -> None:
    idle = IdleConnections()
    ours, anothers, nobodys = (connected(FIRST) for _ in range(3))
    ours.upload, anothers.upload = "ours", "another's"
    for connection in (nobodys, ours, anothers):
        idle.give_back(FIRST, connection)

    taken = [idle.take(FIRST, None, upload) for upload in ("ours", "ours", "ours", "another's")]

    assert taken == [ours, nobodys, None, anothers]
    for connection in (ours, anothers, nobodys):
        connection.close()
