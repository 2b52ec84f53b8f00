"""Each fault of a link, as a plain socket meets it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.fakes.waiting import wait_until
from tests.faults.link import Link
from tests.faults.sockets import listen
from tests.faults.story import (
    AddressChange,
    CutAfter,
    CutEvery,
    CutUploadAfter,
    CutUploadEvery,
    LargePacketsVanish,
    Latency,
    Outage,
    RateLimit,
    ResetAfter,
    ResetEvery,
    SilentAfter,
    SilentUploadAfter,
    Trickle,
)

MIB = 1024 * 1024


class Source:
    """A server that answers each line ``n`` with n bytes of a pattern."""

    def __init__(self) -> None:
        self._listener = listen()
        self.address: tuple[str, int] = self._listener.getsockname()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=[sock]))
            self._threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            with sock, sock.makefile("rb") as lines:
                for line in lines:
                    sock.sendall(pattern(int(line)))
        except OSError:
            return


def pattern(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


@pytest.fixture
def source() -> Iterator[Source]:
    with closing(Source()) as source:
        yield source


def connect(link: Link) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), timeout=5)


def ask(sock: socket.socket, size: int) -> None:
    sock.sendall(b"%d\n" % size)


def take(sock: socket.socket, size: int) -> bytes:
    """Receive until `size` bytes are here, or the end."""
    taken = bytearray()
    while len(taken) < size and (piece := sock.recv(size - len(taken))):
        taken += piece
    return bytes(taken)


def take_until_reset(sock: socket.socket) -> bytes:
    taken = bytearray()
    try:
        while piece := sock.recv(65536):
            taken += piece
    except ConnectionResetError:
        return bytes(taken)
    raise AssertionError("the connection ended with FIN")


def test_a_link_without_faults_carries_every_byte_and_counts_it(source: Source) -> None:
    with Link(target=source.address) as link, connect(link) as sock:
        ask(sock, 3 * MIB)
        taken = take(sock, 3 * MIB)

        assert taken == pattern(3 * MIB)
        assert (link.bytes_down, link.bytes_up, link.connections) == (3 * MIB, len(b"3145728\n"), 1)
        assert link.timeline[-1][1] == 3 * MIB


def test_the_end_of_a_client_reaches_the_server_and_the_servers_the_client(source: Source) -> None:
    with Link(target=source.address) as link, connect(link) as sock:
        ask(sock, 10)
        sock.shutdown(socket.SHUT_WR)

        taken = take(sock, 100)

        assert taken == pattern(10)


@pytest.mark.parametrize("every", [0, 1, 65_537, MIB])
def test_a_cut_every_n_bytes_delivers_exactly_n_on_each_connection(source: Source, every: int) -> None:
    with Link(target=source.address, faults=[CutEvery(every)]) as link:
        for _ in range(2):
            with connect(link) as sock:
                ask(sock, 2 * MIB)

                taken = take(sock, 2 * MIB)

                assert taken == pattern(every)
        assert (link.bytes_down, link.cuts, link.resets) == (2 * every, 2, 0)


def test_a_reset_every_n_bytes_delivers_exactly_n_and_then_raises(source: Source) -> None:
    with Link(target=source.address, faults=[ResetEvery(100_000)]) as link:
        for _ in range(2):
            with connect(link) as sock:
                ask(sock, MIB)

                taken = take_until_reset(sock)

                assert taken == pattern(100_000)
        assert (link.bytes_down, link.cuts, link.resets) == (200_000, 0, 2)


def test_what_a_reset_takes_from_a_client_that_does_not_read_is_not_counted(source: Source) -> None:
    with Link(target=source.address) as link, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", link.port))
        ask(sock, MIB)
        wait_until(lambda: link.bytes_down >= 20_000)
        time.sleep(0.05)
        link.down("reset")
        wait_until(lambda: link.resets == 1)

        taken = take_until_reset(sock)

        assert len(taken) == link.bytes_down


@pytest.mark.parametrize("fault", [CutAfter(5000), ResetAfter(5000)])
def test_what_breaks_once_spares_the_next_connection(source: Source, fault: CutAfter | ResetAfter) -> None:
    with Link(target=source.address, faults=[fault]) as link:
        with connect(link) as sock:
            ask(sock, 9000)
            taken = take(sock, 9000) if isinstance(fault, CutAfter) else take_until_reset(sock)
        with connect(link) as sock:
            ask(sock, 9000)
            again = take(sock, 9000)

        assert (len(taken), len(again)) == (5000, 9000)


def test_two_cuts_in_a_row_strike_two_connections(source: Source) -> None:
    lengths = []
    with Link(target=source.address, faults=[CutAfter(500), CutAfter(700)]) as link:
        for _ in range(3):
            with connect(link) as sock:
                ask(sock, 1000)
                lengths.append(len(take(sock, 1000)))

    assert lengths == [500, 700, 1000]


def test_a_silent_connection_stays_open_and_brings_nothing_more(source: Source) -> None:
    with Link(target=source.address, faults=[SilentAfter(5000)]) as link:
        with connect(link) as sock:
            ask(sock, 9000)
            taken = take(sock, 5000)
            sock.settimeout(0.1)

            with pytest.raises(TimeoutError):
                sock.recv(1)

        with connect(link) as sock:
            ask(sock, 9000)
            again = take(sock, 9000)
        wait_until(lambda: [event for _, event in link.events] == ["silence", "left"])
        assert (len(taken), len(again), link.silences, link.bytes_down) == (5000, 9000, 1, 14_000)


def least(measure: Callable[[], float], below: float) -> float:
    """Measure seconds until they are as few as they should be, ten times at the most: a busy machine adds to them."""
    seconds = measure()
    for _ in range(9):
        if seconds >= below:
            seconds = min(seconds, measure())
    return seconds


@pytest.mark.parametrize(("shared", "least_seconds", "most_seconds"), [(True, 0.5, 10.0), (False, 0.2, 0.5)])
def test_a_rate_limit_holds_for_all_connections_together_or_for_each(
    source: Source, least_seconds: float, most_seconds: float, *, shared: bool
) -> None:
    def both() -> float:
        with (
            Link(target=source.address, faults=[RateLimit(1_000_000, shared=shared)]) as link,
            connect(link) as first,
            connect(link) as second,
        ):
            started = time.monotonic()
            for sock in (first, second):
                ask(sock, 300_000)
            for sock in (first, second):
                take(sock, 300_000)
            return time.monotonic() - started

    assert least_seconds < least(both, below=most_seconds) < most_seconds


def test_a_trickle_begins_where_it_says(source: Source) -> None:
    with Link(target=source.address, faults=[Trickle(1000, after=50_000)]) as link, connect(link) as sock:
        ask(sock, MIB)
        started = time.monotonic()
        take(sock, 50_000)
        quick = time.monotonic() - started
        take(sock, 200)
        slow = time.monotonic() - started - quick

    assert quick < 10  # at the trickle's rate, it would be 50
    assert slow > 0.1


def test_latency_delays_every_byte_both_ways_but_takes_no_throughput(source: Source) -> None:
    with Link(target=source.address, faults=[Latency(0.05)]) as link, connect(link) as sock:

        def answered(size: int) -> float:
            started = time.monotonic()
            ask(sock, size)
            assert take(sock, size) == pattern(size)
            return time.monotonic() - started

        first = least(lambda: answered(1), below=0.6)
        second = least(lambda: answered(8 * MIB), below=0.8)

    assert 0.19 < first < 0.6
    assert 0.09 < second < 0.8  # piece after piece, it would be 1.6


def test_faults_may_change_while_a_connection_is_open(source: Source) -> None:
    with Link(target=source.address) as link, connect(link) as sock:
        ask(sock, 1000)
        take(sock, 1000)
        link.faults = [CutAfter(1500)]
        ask(sock, 1000)

        taken = take(sock, 1000)

    assert taken == pattern(500)


def test_a_link_that_refuses_resets_what_was_open_and_comes_back_on_its_port(source: Source) -> None:
    with Link(target=source.address) as link:
        with connect(link) as sock:
            ask(sock, 10)
            take(sock, 10)
            link.down("refuse")
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        with pytest.raises(ConnectionRefusedError):
            connect(link)
        link.up()

        with connect(link) as sock:
            ask(sock, 10)
            taken = take(sock, 10)

        assert taken == pattern(10)
        assert [event for _, event in link.events] == ["down", "reset", "up"]


def test_a_link_that_drops_keeps_what_was_open_and_answers_no_new_connection(source: Source) -> None:
    with Link(target=source.address) as link, connect(link) as sock:
        ask(sock, 10)
        take(sock, 10)
        link.down("drop")
        ask(sock, 20)
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        with pytest.raises(TimeoutError):
            socket.create_connection(("127.0.0.1", link.port), timeout=0.1)
        link.up()
        sock.settimeout(5)

        taken = take(sock, 20)

        assert taken == pattern(20)
        with connect(link) as other:
            ask(other, 5)
            assert take(other, 5) == pattern(5)
        assert link.connections == 2


def test_a_link_that_resets_accepts_and_resets(source: Source) -> None:
    with Link(target=source.address) as link:
        link.down("reset")
        with pytest.raises(ConnectionResetError), connect(link) as sock:
            sock.recv(1)
        link.up()

        with connect(link) as sock:
            ask(sock, 10)
            assert take(sock, 10) == pattern(10)


def test_a_link_may_be_down_in_one_way_after_the_other(source: Source) -> None:
    with Link(target=source.address) as link:
        link.down("drop")
        link.down("refuse")
        with pytest.raises(ConnectionRefusedError):
            connect(link)
        link.down("drop")
        with pytest.raises(TimeoutError):
            socket.create_connection(("127.0.0.1", link.port), timeout=0.1)
        link.up()
        link.up()

        with connect(link) as sock:
            ask(sock, 10)
            assert take(sock, 10) == pattern(10)


def test_an_outage_begins_at_its_byte_and_ends_by_itself(source: Source) -> None:
    with Link(target=source.address, faults=[Outage(100_000, seconds=0.2)]) as link:
        with connect(link) as sock:
            ask(sock, MIB)
            taken = take_until_reset(sock)
        with pytest.raises(ConnectionRefusedError):
            connect(link)
        wait_until(lambda: link.events[-1][1] == "up")

        with connect(link) as sock:
            ask(sock, MIB)
            again = take(sock, MIB)

    assert (len(taken), len(again)) == (link.bytes_down - MIB, MIB)
    assert len(taken) <= 100_000


def test_an_outage_that_drops_delays_the_rest(source: Source) -> None:
    with (
        Link(target=source.address, faults=[Outage(1000, seconds=0.2, how="drop")]) as link,
        connect(link) as sock,
    ):
        started = time.monotonic()
        ask(sock, 2000)
        first = take(sock, 1000)
        rest = take(sock, 1000)

        assert first + rest == pattern(2000)
        assert time.monotonic() - started > 0.2


def test_a_target_that_is_away_resets_the_client() -> None:
    with listen() as nobody:
        address = nobody.getsockname()
    # It may come before the kernel has said that there is a connection.
    with Link(target=address) as link, pytest.raises(ConnectionResetError), connect(link) as sock:
        sock.recv(1)


def test_after_a_change_of_address_what_was_open_is_silent_and_what_is_new_works(source: Source) -> None:
    with Link(target=source.address, faults=[AddressChange(5_000)]) as link:
        with connect(link) as first, connect(link) as idle:
            idle.sendall(b"100\n")
            assert len(idle.recv(1000)) == 100
            first.sendall(b"9000\n")
            wait_until(lambda: link.silences == 1)
            arrived = len(first.recv(9_000, socket.MSG_DONTWAIT))
            idle.sendall(b"100\n")
            idle.settimeout(0.3)
            with pytest.raises(TimeoutError):
                idle.recv(1000)
        with connect(link) as fresh:
            fresh.sendall(b"100\n")
            assert len(fresh.recv(1000)) == 100

        assert arrived == 4_900


@pytest.mark.parametrize(("segment", "size", "arrives"), [(0, 1_000, True), (0, 9_000, False), (1_200, 9_000, True)])
def test_large_packets_vanish_unless_small_ones_were_asked_for(
    source: Source, segment: int, size: int, *, arrives: bool
) -> None:
    with Link(target=source.address, faults=[LargePacketsVanish()]) as link, socket.socket() as client:
        client.settimeout(0.5)
        if segment:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        client.connect(("127.0.0.1", link.port))
        client.sendall(b"%d\n" % size)
        try:
            data = client.recv(size, socket.MSG_WAITALL)
        except TimeoutError:
            data = b""

        assert len(data) == (size if arrives else 0)


class Sink:
    """A server that counts what each connection brings until it ends."""

    def __init__(self) -> None:
        self._listener = listen()
        self.address: tuple[str, int] = self._listener.getsockname()

    def close(self) -> None:
        self._listener.close()

    def take(self) -> int:
        """Accept one connection, read it to its end, and return how much it brought."""
        sock, _ = self._listener.accept()
        with sock:
            count = 0
            while data := sock.recv(65_536):
                count += len(data)
        return count


def send_until_it_breaks(link: Link, size: int) -> None:
    with connect(link) as sock:
        try:
            sock.sendall(bytes(size))
            sock.shutdown(socket.SHUT_WR)
            sock.recv(1)
        except OSError:
            return


def brought(link: Link, sink: Sink, size: int) -> int:
    """Send `size` bytes over one connection and return how many came through."""
    thread = threading.Thread(target=send_until_it_breaks, args=(link, size))
    thread.start()
    count = sink.take()
    thread.join()
    return count


def test_uploads_are_cut_at_the_byte_on_every_connection() -> None:
    with closing(Sink()) as sink, Link(target=sink.address, faults=[CutUploadEvery(100_000)]) as link:
        counts = [brought(link, sink, size) for size in (300_000, 50_000, MIB)]

    assert counts == [100_000, 50_000, 100_000]
    assert (link.resets, link.bytes_up) == (2, 250_000)


def test_one_upload_is_cut_once() -> None:
    with closing(Sink()) as sink, Link(target=sink.address, faults=[CutUploadAfter(100_000)]) as link:
        counts = [brought(link, sink, 300_000) for _ in range(2)]

    assert counts == [100_000, 300_000]
    assert link.resets == 1


def test_an_upload_falls_silent_once() -> None:
    with closing(Sink()) as sink, Link(target=sink.address, faults=[SilentUploadAfter(100_000)]) as link:
        with connect(link) as sock:
            sock.settimeout(0.5)
            with pytest.raises(TimeoutError):
                sock.sendall(bytes(64 * MIB))
        silent = link.bytes_up

    assert (silent, link.silences) == (100_000, 1)
