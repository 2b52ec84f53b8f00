"""A small registry that follows a script of faults, over real sockets.

Without a script it answers as the specification says. It is written on sockets, because an HTTP library would
not let it misbehave. Credentials are checked but never logged.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from email.utils import formatdate
from types import TracebackType
from typing import Self

from tests.fakes.images import Image
from tests.faults.auth import Auth
from tests.faults.content import Content, refuse
from tests.faults.reply import EndedError, Reply
from tests.faults.request import Exchange, Request
from tests.faults.sockets import SEND_BUFFER, listen
from tests.faults.story import Effect, Fault
from tests.faults.tls import Certificate
from tests.faults.uploads import Uploads


class Registry:
    """Serves images on 127.0.0.1 until its ``with`` block ends.

    Args:
        images: What it holds, in `repository`; `add` takes more.
        faults: The script.
        repository: Where `images` go.
        auth: Who may pull; None for everybody.
        certificate: Speak TLS with this one.

    Attributes:
        host: ``127.0.0.1:port``.
        url: Its base URL, without a slash at the end.
        log: What was asked and answered, in the order of the requests.
        connections: How many were opened.
        hello_seconds: How long it thinks before it answers a TLS hello.
        uploads: Takes what is pushed.
        date: Returns what it takes for the time, in seconds since the epoch; None says nothing.
    """

    def __init__(
        self,
        images: Iterable[Image] = (),
        *,
        faults: Sequence[Fault] = (),
        repository: str = "test/image",
        auth: Auth | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        self.host = ""
        self.url = ""
        self.log: list[Exchange] = []
        self.connections = 0
        self._auth = auth
        self.hello_seconds = 0.0
        self.date: Callable[[], float] | None = None
        self._tls = certificate.server_context() if certificate else None
        self._content = Content()
        self.uploads = Uploads(self._content)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._started = time.monotonic()
        self.faults = faults
        for image in images:
            self.add(image, repository)

    @property
    def faults(self) -> Sequence[Fault]:
        """The script. It may be replaced at any time, which starts the counts again."""
        return self._faults

    @faults.setter
    def faults(self, faults: Sequence[Fault]) -> None:
        with self._lock:
            self._faults = tuple(faults)
            self._matches: Counter[int] = Counter()

    # --- what it holds and counts ---------------------------------------------------------------------------

    def add(self, image: Image, repository: str = "test/image", *, tag: str = "") -> None:
        """Hold an image too, under its own tag or another; a tag that is there moves."""
        self._content.add(image, repository, tag or image.tag)

    def remove(self, digest: str) -> None:
        """Hold a blob or manifest no longer."""
        self._content.remove(digest)

    def move_tag(self, repository: str, tag: str, digest: str) -> None:
        """Let a tag stand for another manifest."""
        self._content.move_tag(repository, tag, digest)

    def show(self, certificate: Certificate | None) -> None:
        """Speak TLS with this one from the next connection on, or plain HTTP without one."""
        self._tls = certificate.server_context() if certificate else None

    def expire_tokens(self, seconds: float = 0.0) -> None:
        """Let every token given out so far expire in so many seconds."""
        if self._auth is not None:
            self._auth.expire_tokens(seconds)

    def requests(self, kind: str = "", *, status: int | None = None) -> list[Exchange]:
        """Return the log's lines of one kind or of all, with one status or with any."""
        return [line for line in list(self.log) if kind in {"", line.kind} and status in {None, line.status}]

    def sent(self, kind: str = "") -> int:
        """Return how many bytes of bodies were handed to clients, of one kind or of all."""
        return sum(line.sent for line in self.requests(kind))

    # --- its life -------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._listener = listen()
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"{'https' if self._tls else 'http'}://{self.host}"
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        self.drop_connections()
        for thread in self._threads:
            thread.join()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as a `Link` takes them for its target."""
        host, _, port = self.host.partition(":")
        return host, int(port)

    def drop_connections(self) -> None:
        """End every open connection, as a restart of the registry does."""
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads[1:] = [each for each in self._threads[1:] if each.is_alive()]
        self._threads.append(thread)
        thread.start()

    # --- connections ----------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(sock)
            self._start(lambda sock=sock: self._serve(sock))  # type: ignore[misc]

    def _serve(self, plain: socket.socket) -> None:
        sock = plain
        # Its own copy of the descriptor, which `drop_connections` can shut down while TLS owns the other.
        with plain, contextlib.suppress(OSError, EndedError):
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                self._closing.wait(self.hello_seconds)
                sock = self._tls.wrap_socket(plain.dup(), server_side=True)
            with sock:
                self._converse(sock)
        with self._lock:
            self._open.discard(plain)

    def _converse(self, sock: socket.socket) -> None:
        with sock.makefile("rb") as stream:
            while request := Request.read(stream):
                self._exchange(sock, request)
                if not request.keeps_alive:
                    return

    def _exchange(self, sock: socket.socket, request: Request) -> None:
        reply = Reply(
            stage=self,
            path=request.path,
            repository=request.repository,
            digest=self._content.digest_of(request),
            closing=self._closing,
        )
        self._answer(request, reply)
        for effect in self._strikes(request, reply):
            effect.apply(reply)
        self.log.append(Exchange.of(request, reply, seconds=time.monotonic() - self._started))
        try:
            reply.send(sock, head_only=request.method == "HEAD")
        finally:
            reply.content = memoryview(b"")  # the log keeps the reply; a changed copy of a blob is large

    def _answer(self, request: Request, reply: Reply) -> None:
        if request.kind == "token" and self._auth is not None:
            self._auth.grant(request, reply)
            return
        # Where the client came by: a link may stand before the registry, and is to carry the tokens too.
        base_url = self.url.replace(self.host, request.headers.get("host", self.host))
        challenge = self._auth.challenge(request, base_url) if self._auth is not None else None
        if challenge is not None:
            refuse(reply, 401, "UNAUTHORIZED")
            reply.headers["WWW-Authenticate"] = challenge
        elif request.kind == "upload" or request.method == "PUT":
            self.uploads.answer(request, reply)
        elif request.repository:
            self._content.answer(request, reply)
        elif request.path == "/v2/":
            reply.become(200, b"{}", {"Content-Type": "application/json"})
        else:
            refuse(reply, 404, "NOT_FOUND")
        reply.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        if self.date is not None:
            reply.headers["Date"] = formatdate(self.date(), usegmt=True)

    def _strikes(self, request: Request, reply: Reply) -> list[Effect]:
        """Return what goes wrong with this request."""
        effects: list[Effect] = []
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.concerns(kind=request.kind, digest=reply.digest, method=request.method):
                    self._matches[index] += 1
                    if fault.strikes(self._matches[index]):
                        effects.append(fault.effect)
        return effects
