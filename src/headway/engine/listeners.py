"""The addresses a daemon listens on: ``unix://``, ``tcp://`` and ``fd://`` (moby-behaviour 7.1, docs/engine-api.md).

Rule 1: nothing listens beyond this machine's user unless told to: a socket is 0600 unless a group shares it, and TCP
        without TLS has to be asked for.
Rule 2: a socket file that nobody answers on is litter and is replaced; one that somebody answers on is not touched.
"""

from __future__ import annotations

import errno
import grp
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from headway.errors import ConflictError, InvalidSettingError

FIRST_PASSED_DESCRIPTOR = 3  # sd_listen_fds(3)
_NO_ID = 2**32 - 1  # chown(2): leave it as it is
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
BACKLOG = 4096  # as Go: the kernel makes it net.core.somaxconn; a full one is EAGAIN to clients with a limit of time


class Address(NamedTuple):
    """Where to listen.

    Attributes:
        kind: ``unix``, ``tcp`` or ``fd``.
        path: Of a unix socket.
        host: Of a TCP address, empty for every interface.
        port: Of a TCP address.
    """

    kind: str
    path: str = ""
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address that ``-H`` names.

        Raises:
            InvalidSettingError: It is none that Headway listens on.
        """
        scheme, separator, rest = text.partition("://")
        if scheme == "unix" and separator and rest.startswith("/"):
            return cls("unix", path=rest)
        if scheme == "fd" and separator and rest in ("", "*"):
            return cls("fd")
        if scheme == "tcp" and separator:
            try:
                parts = urlsplit(text)
                port = parts.port
            except ValueError as error:
                raise InvalidSettingError(f"invalid host {text!r}: {error}") from None
            if port is not None and not (parts.path or parts.query or parts.username):
                return cls("tcp", host=parts.hostname or "", port=port)
        raise InvalidSettingError(
            f"invalid host {text!r}: write unix:///run/headway.sock, tcp://127.0.0.1:2375 or fd://"
        )

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix://{self.path}"
        if self.kind == "fd":
            return "fd://"
        host = f"[{self.host}]" if ":" in self.host else self.host or "0.0.0.0"  # noqa: S104  # shown only
        return f"tcp://{host}:{self.port}"


def listen_unix(path: Path, *, group: str = "") -> socket.socket:
    """Return a listening socket at `path`, 0600, or 0660 and a group's.

    Raises:
        ConflictError: Somebody listens there, or something else lies there.
        InvalidSettingError: No such group, or it cannot be made.
    """
    group_id = group_id_of(group)
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)  # it must never have been open to others, not even for a moment
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        if group_id is not None:
            os.chown(path, -1, group_id)
            path.chmod(0o660)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        missing = "; name another address with -H" if isinstance(error, FileNotFoundError) else ""
        raise InvalidSettingError(f"cannot listen on unix://{path}: {error.strerror or error}{missing}") from None
    listener.settimeout(0)
    return listener


def listen_tcp(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets for every address of `host` that this machine has.

    Raises:
        ConflictError: The port is taken.
        InvalidSettingError: No such address.
    """
    where = Address("tcp", host=host, port=port)
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((each[0], each[4]) for each in found):
            try:
                listeners.append(_bound(family, address))
            except OSError as error:
                if family != socket.AF_INET6 or error.errno not in _NO_IPV6:
                    raise
                missing = error  # a name such as localhost has such an address also where IPv6 is off
        if missing is not None and not listeners:
            raise missing
    except OSError as error:
        for listener in listeners:
            listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConflictError(f"{where} is in use by another program") from None
        raise InvalidSettingError(f"cannot listen on {where}: {error.strerror or error}") from None
    return listeners


def _bound(family: socket.AddressFamily, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.settimeout(0)
    except OSError:
        listener.close()
        raise
    return listener


def parse_metrics_address(text: str) -> tuple[str, int]:
    """Return host and port; no host means every address of this machine, as for Docker.

    Raises:
        InvalidSettingError: It is no address.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidSettingError(f"invalid metrics-addr {text!r}: write HOST:PORT, such as 127.0.0.1:9323")
    return host.strip("[]"), int(port)


def passed_sockets(environment: dict[str, str], pid: int) -> list[socket.socket]:
    """Return the sockets that systemd has opened for this process (sd_listen_fds(3)).

    Raises:
        InvalidSettingError: There are none, or one is no socket that listens.
    """
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(pid) or not count.isdecimal() or int(count) < 1:
        raise InvalidSettingError("fd:// wants sockets from systemd (LISTEN_FDS), and there are none")
    sockets = []
    for descriptor in range(FIRST_PASSED_DESCRIPTOR, FIRST_PASSED_DESCRIPTOR + int(count)):
        os.set_inheritable(descriptor, False)  # noqa: FBT003  # positional only
        sockets.append(_passed_socket(descriptor))
    return sockets


def _passed_socket(descriptor: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=descriptor)
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise InvalidSettingError(f"descriptor {descriptor} of systemd's is no socket: {error.strerror}") from None
    if not listens:
        listener.close()
        raise InvalidSettingError(f"descriptor {descriptor} of systemd's does not listen: its unit needs Accept=no")
    listener.settimeout(0)
    return listener


def group_id_of(group: str) -> int | None:
    """Return the ID of a group by its name, or by the number itself; None for no group.

    Raises:
        InvalidSettingError: There is none of that name.
    """
    if not group:
        return None
    if group.isascii() and group.isdecimal() and len(group) <= 10 and int(group) < _NO_ID:
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise InvalidSettingError(f"there is no group {group!r}") from None


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise InvalidSettingError(f"cannot listen on unix://{path}: {error.strerror or error}") from None
    if not stat.S_ISSOCK(mode):
        raise ConflictError(f"{path} is there and is no socket")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe.settimeout(0)  # one whose queue is full is in use, and may never take another
    try:
        probe.connect(str(path))
    except ConnectionRefusedError:
        with suppress(FileNotFoundError):
            path.unlink()
    except OSError as error:
        raise ConflictError(f"{path} is in use: {error.strerror or error}") from None
    else:
        raise ConflictError(f"another daemon listens on unix://{path}")
    finally:
        probe.close()
