"""Debian's proxies, run for a test."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.processes import free_port
from tests.fakes.names import knowing

_START_SECONDS = 10.0
_QUIET_SECONDS = 0.1
_SQUID = "proxy"
"""The user that Debian's squid runs as."""

_NCSA = "/usr/lib/squid/basic_ncsa_auth"


class Proxy(Protocol):
    """A running proxy."""

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""

    def asked(self) -> list[str]:
        """Return the request lines that it was sent: method and target."""


@dataclass(frozen=True, slots=True)
class Tinyproxy:
    """A `Proxy`.

    Attributes:
        port: Where it listens on 127.0.0.1.
        log: What it did.
        kill: Ends it, with whatever goes through it.
    """

    port: int
    log: Path
    kill: Callable[[], None]

    def asked(self) -> list[str]:
        """See `Proxy`."""
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
    port, log = free_port(), directory / "log"
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


@dataclass(frozen=True, slots=True)
class Squid:
    """A `Proxy`.

    Attributes:
        port: Where it listens on 127.0.0.1.
        log: What it did: a line is written when a request, or a tunnel, is over, which `asked` waits for.
    """

    port: int
    log: Path

    def asked(self) -> list[str]:
        """See `Proxy`."""
        before, size = -1, 0
        while size != before:
            time.sleep(_QUIET_SECONDS)
            before, size = size, self.log.stat().st_size if self.log.exists() else 0
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if not line.startswith("- ")]  # connections that asked nothing


@contextlib.contextmanager
def squid(directory: Path, *names: str, login: tuple[str, str] | None = None) -> Iterator[Squid]:
    """Run one until the block ends; it stores nothing. Root only.

    Args:
        directory: Not used: it runs as a user of its own, who may not look into a test's.
        names: Host names that are 127.0.0.1 for it.
        login: User and password that it asks for.
    """
    del directory
    home = Path(tempfile.mkdtemp(prefix="squid-"))
    proxy = Squid(free_port(), home / "log")
    (home / "hosts").write_text("".join(f"127.0.0.1 {name}\n" for name in names))
    lines = [
        f"http_port 127.0.0.1:{proxy.port}", "visible_hostname squid.test", f"hosts_file {home}/hosts",
        f"pid_filename {home}/pid", f"cache_log {home}/cache.log", "logformat asked %rm %ru", "cache deny all",
        f"access_log stdio:{proxy.log} asked", "buffered_logs off", "shutdown_lifetime 0", "netdb_filename none",
    ]  # fmt: skip
    if login is not None:
        password = ["openssl", "passwd", "-apr1", login[1]]
        hashed = subprocess.run(password, check=True, capture_output=True, text=True).stdout
        (home / "users").write_text(f"{login[0]}:{hashed}")
        lines += [f"auth_param basic program {_NCSA} {home}/users", "acl known proxy_auth REQUIRED"]
    lines.append("http_access allow " + ("all" if login is None else "known"))
    (home / "conf").write_text("\n".join([*lines, ""]))
    for path in (home, *home.iterdir()):
        shutil.chown(path, _SQUID)
    process = subprocess.Popen(
        ["squid", "-N", "-f", home / "conf"], user=_SQUID, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _await_listener(process, proxy)
        yield proxy
    finally:
        process.kill()  # its helpers end with it
        process.wait()
        shutil.rmtree(home)


def _await_listener(process: subprocess.Popen[bytes], proxy: Proxy) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", proxy.port), timeout=1):
            return
        time.sleep(0.02)
    raise AssertionError(f"{process.args!r} does not start")
