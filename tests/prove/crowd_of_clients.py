"""Many clients of a daemon at once, good ones and bad ones, on raw sockets."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.daemon import Daemon, UnixConnection

CHUNK = 1 << 20


@dataclass(slots=True)
class Bystander:
    """A client that asks for nothing much, again and again, and takes the time.

    Attributes:
        seconds: Of each answer.
        failures: What did not work.
    """

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@contextmanager
def bystander(daemon: Daemon, *, pause: float = 0.05) -> Iterator[Bystander]:
    """Ping on one connection while the block runs."""
    seen, over = Bystander(), threading.Event()

    def ask() -> None:
        while not over.wait(pause):
            began = time.monotonic()
            try:
                answer = daemon.ask("GET", "/_ping")
            except OSError as error:
                seen.failures.append(str(error))
            else:
                seen.seconds.append(time.monotonic() - began)
                if answer.body != b"OK":
                    seen.failures.append(repr(answer))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def connected(path: Path, *, seconds: float = 30.0) -> socket.socket:
    """Return a connection to a daemon."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(seconds)
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection.connect(str(path))
        except BlockingIOError:  # more than listen(2) lets wait; a client without a limit of time would sleep here
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return connection


@contextmanager
def connections(path: Path, count: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """Open so many connections, and send the same on each."""
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            opened.append(connected(path))
            if first:
                opened[-1].sendall(first)
        yield opened
    finally:
        for connection in opened:
            connection.close()


def answer_to(path: Path, pieces: Sequence[bytes] | Iterator[bytes]) -> tuple[int, int]:
    """Send pieces on a connection until they are all sent or nobody takes them.

    Returns:
        How many bytes were taken, and the status of the answer; 0 where there was none.
    """
    taken = 0
    with connected(path) as connection:
        with suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
                taken += len(piece)
        with suppress(OSError):
            head = connection.recv(4096)
            if head.startswith(b"HTTP/1."):
                return taken, int(head.split()[1])
    return taken, 0


def closed_within(sockets: Sequence[socket.socket], seconds: float, *, drip: bytes = b"") -> int:
    """Return how many connections the daemon has closed after so many seconds of `drip` on each."""
    deadline = time.monotonic() + seconds
    open_still = list(sockets)
    while open_still and time.monotonic() < deadline:
        time.sleep(0.5)
        open_still = [each for each in open_still if not _is_closed(each, drip)]
    return len(sockets) - len(open_still)


def _is_closed(connection: socket.socket, drip: bytes) -> bool:
    connection.settimeout(0)
    try:
        if drip:
            connection.send(drip)
        return connection.recv(4096) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def pulled(daemon: Daemon, name: str, tag: str, problems: list[str]) -> None:
    """Pull as a client does, to the end of the stream; put down what went wrong."""
    connection = UnixConnection(daemon.socket, seconds=300.0)
    try:
        answer = connection.ask("POST", f"/v1.41/images/create?fromImage={name}&tag={tag}")
        last = json.loads(answer.body.splitlines()[-1])
        if answer.status != 200 or not last.get("status", "").startswith("Status: "):
            problems.append(f"{answer.status} {last}")
    except (OSError, ValueError, IndexError) as error:
        problems.append(repr(error))
    finally:
        connection.close()
