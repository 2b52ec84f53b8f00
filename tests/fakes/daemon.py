"""Headway's daemon as users start it: in a process of its own, on a socket of its own."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.cli import Cli

_BUG = re.compile(r"\bbug\b|Traceback|never retrieved")
START_SECONDS = 30.0
STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon that runs.

    Attributes:
        socket: Its unix socket.
        log: The file that takes what it says.
        process: The process.
        data_root: Where it keeps images.
    """

    socket: Path
    log: Path
    process: subprocess.Popen[bytes]
    data_root: Path

    @property
    def host(self) -> str:
        """Its address, as ``DOCKER_HOST`` says it."""
        return f"unix://{self.socket}"

    @property
    def resident(self) -> int:
        """How much memory it holds, in bytes."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) << 10

    @property
    def bugs(self) -> list[str]:
        """The lines of its log that tell of a bug; there should be none."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if is_bug(line)]

    def ask(self, method: str, path: str, *, body: bytes | None = None, **headers: str) -> Answer:
        """Send one request on a connection of its own."""
        connection = UnixConnection(self.socket)
        try:
            return connection.ask(method, path, body, {key.replace("_", "-"): text for key, text in headers.items()})
        finally:
            connection.close()


def is_bug(line: str) -> bool:
    """Whether a line of a log tells of something that nobody has thought of."""
    return bool(_BUG.search(line))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered.

    Attributes:
        status: HTTP status.
        headers: By name in small letters.
        body: All of it.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401  # whatever the server said
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The body as a stream of JSON messages."""
        return [json.loads(line) for line in self.body.splitlines() if line.strip()]


class UnixConnection(http.client.HTTPConnection):
    """A connection to a unix socket, which is kept between requests."""

    def __init__(self, path: Path, *, seconds: float = 60.0) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        """See `http.client.HTTPConnection`."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request and read the whole answer."""
        self.request(method, path, body, dict(headers or {}))
        response = self.getresponse()
        return Answer(response.status, {key.lower(): text for key, text in response.getheaders()}, response.read())


@contextmanager
def daemon(
    place: Path,
    *flags: str | Path,
    environment: Mapping[str, str] | None = None,
    before: Sequence[str | Path] = (),
) -> Iterator[Daemon]:
    """Run the daemon until the block ends; it has to end by itself when it is asked to.

    Args:
        place: A directory whose path is short: its socket is there, and its data root unless one is here from before.
        flags: Further arguments.
        environment: Further variables.
        before: A command that starts it.
    """
    place.mkdir(parents=True, exist_ok=True)
    cli = Cli(place / "root", environment=environment or {}, before=before)
    path, log = place / "headway.sock", place / "headway.log"
    with log.open("ab") as output:
        process = cli.serve("daemon", "--config-file", _settings(place), "-H", f"unix://{path}", *flags, output=output)
    running = Daemon(path, log, process, place / "root")
    try:
        _await_ping(running)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.wait()


def _settings(place: Path) -> Path:
    """Return the daemon's own settings' file, which this machine's must not stand in for."""
    path = place / "daemon.json"
    if not path.exists():
        path.write_text("{}")
    return path


def _await_ping(running: Daemon) -> None:
    deadline = time.monotonic() + START_SECONDS
    while running.process.poll() is None and time.monotonic() < deadline:
        try:
            if running.ask("GET", "/_ping").body == b"OK":
                return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"the daemon does not start:\n{running.log.read_text(errors='replace')[-3000:]}")
