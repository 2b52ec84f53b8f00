"""Name servers on a bad day: one in the place of `socket.getaddrinfo`, and a real one for the system's own resolver."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

NameFault = Literal["", "NXDOMAIN", "SERVFAIL", "silence"]
"""What a name server does: answer; say that there is no such name; say that it failed; say nothing."""

_NAME_ERROR, _SERVER_FAILURE = 3, 2
_TYPE_A = 1


class Names:
    """In the place of `socket.getaddrinfo`, with its errors.

    Args:
        known: Addresses by name.
        fault: What goes wrong; it may be changed at any time.

    Attributes:
        asked: The names that were asked for, in order.
    """

    def __init__(self, known: Mapping[str, Sequence[str]], fault: NameFault = "") -> None:
        self.known = dict(known)
        self.fault: NameFault = fault
        self.asked: list[str] = []
        self._end = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()  # who still waits for an answer gets none

    def __call__(self, host: str, port: object, **_: object) -> list[tuple[Any, ...]]:
        """Answer as `socket.getaddrinfo` would.

        Raises:
            socket.gaierror: There is no such name, or no name server to ask.
        """
        self.asked.append(host)
        if self.fault == "silence":
            self._end.wait()
        if self.fault in ("SERVFAIL", "silence"):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if self.fault == "NXDOMAIN" or host not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in self.known[host]]


class NameServer:
    """A real one, over UDP, until its ``with`` block ends; needs root for its port.

    Args:
        known: IPv4 addresses by name; it has no others.
        fault: What goes wrong; it may be changed at any time.

    Attributes:
        address: Where it listens, port 53.
        asked: The names that were asked for, in order.
    """

    def __init__(self, known: Mapping[str, str], fault: NameFault = "") -> None:
        self.fault: NameFault = fault
        self.asked: list[str] = []
        self._known = dict(known)

    def __enter__(self) -> Self:
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = _bind_somewhere(self._sock)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)  # wakes it, though UDP says that it is not connected
        self._thread.join()
        self._sock.close()

    def resolv_conf(self, directory: Path) -> Path:
        """Write what makes the system's resolver ask here, and return its path."""
        file = directory / "resolv.conf"
        file.write_text(f"nameserver {self.address}\noptions timeout:1 attempts:1\n")
        return file

    def _serve(self) -> None:
        while True:
            try:
                question, whom = self._sock.recvfrom(4096)
            except OSError:
                return
            if not question:
                return
            if answer := self._answer(question):
                self._sock.sendto(answer, whom)

    def _answer(self, question: bytes) -> bytes:
        """Return the answer to one question (RFC 1035, section 4), nothing where there is none."""
        number, _, count = struct.unpack("!HHH", question[:6])
        name, end = _name_of(question)
        (kind,) = struct.unpack("!H", question[end : end + 2])
        self.asked.append(name)
        if self.fault == "silence":
            return b""
        known = self._known.get(name) if not self.fault else None
        code = _SERVER_FAILURE if self.fault == "SERVFAIL" else 0 if known else _NAME_ERROR
        record = b""
        if known and kind == _TYPE_A:
            record = struct.pack("!HHHIH", 0xC00C, _TYPE_A, 1, 1, 4) + socket.inet_aton(known)
        head = struct.pack("!HHHHHH", number, 0x8180 | code, count, bool(record), 0, 0)
        return head + question[12 : end + 4] + record


def _bind_somewhere(sock: socket.socket) -> str:
    """Bind port 53 on a loopback address where nobody listens, and return the address."""
    for last in range(1, 255):
        with contextlib.suppress(OSError):
            sock.bind((f"127.53.0.{last}", 53))
            return f"127.53.0.{last}"
    raise AssertionError("every address is taken")


def _name_of(question: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode("ascii").lower())
        at += 1 + length
    return ".".join(labels), at + 1


@contextlib.contextmanager
def later(seconds: float, work: Callable[[], object], *, after: Callable[[], object] = lambda: True) -> Iterator[None]:
    """Do something so many seconds after something else has come true, while the block runs."""
    over = threading.Event()

    def wait() -> None:
        while not after() and not over.wait(0.01):
            pass
        if not over.wait(seconds):
            work()

    waiting = threading.Thread(target=wait)
    waiting.start()
    try:
        yield
    finally:
        over.set()
        waiting.join()
