"""Debian's tinyproxy, run for a test."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.names import knowing

_START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Tinyproxy:
    """A running proxy.

    Attributes:
        port: Where it listens on 127.0.0.1.
        log: What it did.
        kill: Ends it, with whatever goes through it.
    """

    port: int
    log: Path
    kill: Callable[[], None]

    def asked(self) -> list[str]:
        """Return the request lines that it was sent: method and target."""
        lines = [line for line in self.log.read_text().splitlines() if "Request (file descriptor" in line]
        return [line.partition("): ")[2].rpartition(" ")[0] for line in lines]


@contextlib.contextmanager
def tinyproxy(directory: Path, *names: str, login: tuple[str, str] | None = None) -> Iterator[Tinyproxy]:
    """Run one until the block ends.

    Args:
        directory: Where its configuration and log go.
        names: Host names that are 127.0.0.1 for it.
        login: User and password that it asks for.
    """
    directory.mkdir(parents=True, exist_ok=True)
    port, log = _free_port(), directory / "log"
    lines = [f"Port {port}", "Listen 127.0.0.1", "Timeout 60", f'LogFile "{log}"', "LogLevel Connect"]
    if login is not None:
        lines.append(f"BasicAuth {login[0]} {login[1]}")
    (directory / "conf").write_text("\n".join([*lines, ""]))
    process = subprocess.Popen(
        [*knowing(directory, *names), "tinyproxy", "-d", "-c", directory / "conf"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    proxy = Tinyproxy(port, log, process.kill)
    try:
        _await_listener(process, proxy)
        yield proxy
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _await_listener(process: subprocess.Popen[bytes], proxy: Tinyproxy) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", proxy.port), timeout=1):
            return
        time.sleep(0.02)
    raise AssertionError("tinyproxy does not start")
