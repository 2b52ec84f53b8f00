"""One HTTP reply of the scripted registry: what it says, and what happens while it is sent.

The registry fills it in honestly, the effects of the story change it, and `send` does what it then says.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Event
from typing import Literal, Protocol

from tests.faults.sockets import close_with_reset, unsent

_PIECE = 256 * 1024


class Stage(Protocol):
    """What a reply can change about the registry that sends it."""

    def expire_tokens(self, seconds: float) -> None:
        """Let every token given out so far expire in so many seconds."""

    def remove(self, digest: str) -> None:
        """Hold a blob or manifest no longer."""

    def move_tag(self, repository: str, tag: str, digest: str) -> None:
        """Let a tag stand for another manifest."""


class EndedError(Exception):
    """The connection is over: broken on purpose, or nobody is there."""


@dataclass(slots=True, kw_only=True)
class Reply:
    """What is sent: ``content[start:stop]`` and then `rubbish`.

    Attributes:
        stage: The registry.
        repository: What the request was about; empty for others.
        path: Path of the request, without its query.
        closing: Set when the registry stops; waiting ends then.
        digest: Of what is asked for, by whatever name; empty where that is unknown.
        status: HTTP status. With 206 a Content-Range is sent.
        content: The whole of what was asked for.
        rubbish: Bytes sent behind.
        headers: Sent beside those that follow from the other attributes.
        framing: How the end of the body is known.
        raw: Sent instead of everything else, then FIN.
        delay_seconds: Pause before the head.
        bytes_per_second: Pace of the body; None for as fast as it goes.
        break_at: Bytes of the body after which `ending` happens; None for never.
        sent: Bytes of the body that were handed to the client's connection.
    """

    stage: Stage
    path: str
    closing: Event
    repository: str = ""
    digest: str = ""
    status: int = 200
    content: memoryview = field(default_factory=lambda: memoryview(b""))
    start: int = 0
    stop: int = 0
    rubbish: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    framing: Literal["length", "chunked", "close"] = "length"
    raw: bytes | None = None
    delay_seconds: float = 0.0
    bytes_per_second: float | None = None
    break_at: int | None = None
    ending: Literal["cut", "reset", "stall"] = "cut"
    sent: int = 0
    _milestones: list[tuple[int, Callable[[], None]]] = field(default_factory=list)

    def become(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Say something else altogether."""
        self.status, self.content, self.rubbish = status, memoryview(body), b""
        self.start, self.stop = 0, len(body)
        self.headers = dict(headers or {})

    def override(self, name: str, value: str) -> None:
        """Send this value for a header that follows from other attributes, where it is sent at all."""
        if name != "Content-Range" or self.status == 206:
            self.headers.setdefault(name, value)

    def at(self, sent: int, action: Callable[[], None]) -> None:
        """Do something when so many bytes of the body are sent."""
        self._milestones.append((sent, action))

    def wait(self, seconds: float) -> None:
        """Pause, unless the registry stops.

        Raises:
            EndedError: It did.
        """
        if self.closing.wait(seconds):
            raise EndedError

    # --- sending --------------------------------------------------------------------------------------------

    def send(self, sock: socket.socket, *, head_only: bool) -> None:
        """Send it.

        Raises:
            EndedError: The connection must be closed now.
            OSError: The client went away.
        """
        self.wait(self.delay_seconds)
        if self.raw is not None:
            sock.sendall(self.raw)
            raise EndedError
        sock.sendall(self._head())
        if not head_only:
            self._send_body(sock)
        if self.framing == "close":
            raise EndedError

    def _head(self) -> bytes:
        headers = dict(self.headers)
        if self.status == 206:
            headers.setdefault("Content-Range", f"bytes {self.start}-{self.stop - 1}/{len(self.content)}")
        if self.framing == "length":
            headers.setdefault("Content-Length", str(self.stop - self.start + len(self.rubbish)))
        elif self.framing == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Connection"] = "close"
        known = {status.value: status.phrase for status in HTTPStatus}
        lines = [f"HTTP/1.1 {self.status} {known.get(self.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _send_body(self, sock: socket.socket) -> None:
        for part in (self.content[self.start : self.stop], memoryview(self.rubbish)):
            view = part
            while view:
                self._reach_milestones(sock)
                view = view[self._send_piece(sock, view[: self._step(len(view))]) :]
        self._reach_milestones(sock)
        if self.framing == "chunked":
            sock.sendall(b"0\r\n\r\n")

    def _step(self, left: int) -> int:
        """Return how many bytes may go before something has to happen."""
        stops = [at - self.sent for at, _ in self._milestones]
        if self.break_at is not None:
            stops.append(self.break_at - self.sent)
        if self.bytes_per_second is not None:
            stops.append(max(1, int(self.bytes_per_second / 50)))
        return min(left, _PIECE, *[step for step in stops if step > 0])

    def _send_piece(self, sock: socket.socket, piece: memoryview) -> int:
        if self.bytes_per_second is not None:
            self.wait(len(piece) / self.bytes_per_second)
        # Counted first: the client may have it all, and look at the count, before this thread runs again.
        self.sent += len(piece)
        done = 0
        try:
            if self.framing == "chunked":
                sock.sendall(b"%x\r\n%b\r\n" % (len(piece), bytes(piece)))
                done = len(piece)
            else:
                done = sock.send(piece)
        finally:
            self.sent -= len(piece) - done
        return done

    def _reach_milestones(self, sock: socket.socket) -> None:
        due = [action for at, action in self._milestones if at <= self.sent]
        self._milestones = [(at, action) for at, action in self._milestones if at > self.sent]
        for action in due:
            action()
        if self.break_at is not None and self.sent >= self.break_at:
            self._break_off(sock)

    def _break_off(self, sock: socket.socket) -> None:
        """End the connection as `ending` says.

        Raises:
            EndedError: Always.
        """
        if self.ending == "stall":
            await_departure(sock)
        elif self.ending == "reset":
            deadline = time.monotonic() + 2
            while unsent(sock) and time.monotonic() < deadline:
                time.sleep(0.001)
            close_with_reset(sock)
        raise EndedError


def await_departure(sock: socket.socket) -> None:
    """Take what the client sends, and nothing else, until it goes away."""
    while socket.socket.recv(sock, 4096):
        pass
