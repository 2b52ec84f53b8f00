"""Opens the sockets of one daemon as its configuration says, with TLS where it is configured."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from headway.daemon.configuration import DaemonSettings
from headway.daemon.handshakes import TellingHandshake
from headway.engine.listeners import (
    Address,
    group_id_of,
    listen_tcp,
    listen_unix,
    parse_metrics_address,
    passed_sockets,
)
from headway.errors import InvalidSettingError


class Listener(NamedTuple):
    """One listening socket.

    Attributes:
        socket: The socket.
        address: Its address as configured.
        tls: The TLS context; None for plain HTTP.
        inode: Inode of the file that was made for it; 0 if none was.
    """

    socket: socket.socket
    address: Address
    tls: ssl.SSLContext | None
    inode: int = 0


def default_socket(environment: dict[str, str], uid: int) -> str:
    """Return the address to listen on if none is configured: root's, or this user's own."""
    if uid == 0:
        return "unix:///run/headway.sock"
    directory = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
    return f"unix://{directory}/headway.sock"


def open_all(daemon: DaemonSettings, addresses: list[Address]) -> list[Listener]:
    """Listen on every address.

    Raises:
        InvalidSettingError: An address cannot be listened on, or has no TLS although the settings do not allow that.
        ConflictError: One is taken.
    """
    listeners: list[Listener] = []
    try:
        for address in addresses:
            listeners += _open(daemon, address)
        if any(_is_tcp(listener) for listener in listeners):
            context = _context(daemon)  # for one that systemd passes on, too: it says nothing of TLS
            listeners = [each._replace(tls=context) if _is_tcp(each) else each for each in listeners]
    except BaseException:
        close_all(listeners)
        raise
    return listeners


def check(daemon: DaemonSettings) -> None:
    """Check, without listening, that addresses have what they need: TLS, and the group that may use the sockets.

    Raises:
        InvalidSettingError: Something is missing, or cannot be used.
    """
    kinds = {Address.parse(host).kind for host in daemon.hosts} or {"unix"}
    if "tcp" in kinds:
        _context(daemon)
    if "unix" in kinds:
        group_id_of(daemon.group)


def open_metrics(address: str) -> list[socket.socket]:
    """Listen on ``host:port`` for requests for measurements; nowhere if it is empty.

    Raises:
        InvalidSettingError: It cannot be listened on.
        ConflictError: It is taken.
    """
    return listen_tcp(*parse_metrics_address(address)) if address else []


def _open(daemon: DaemonSettings, address: Address) -> list[Listener]:
    if address.kind == "unix":
        path = Path(address.path)
        listening = listen_unix(path, group=daemon.group)
        return [Listener(listening, address, None, path.stat().st_ino)]
    if address.kind == "fd":
        return [Listener(each, address, None) for each in passed_sockets(dict(os.environ), os.getpid())]
    return [Listener(each, address, None) for each in listen_tcp(address.host, address.port)]


def _is_tcp(listener: Listener) -> bool:
    return listener.socket.family is not socket.AF_UNIX


def _context(daemon: DaemonSettings) -> ssl.SSLContext | None:
    if daemon.tls is False:
        return None
    if daemon.tlscert is None or daemon.tlskey is None:
        raise InvalidSettingError(
            "tcp:// speaks TLS: set tlscert and tlskey (with tlsverify and tlscacert for clients' certificates), "
            "or tls=false to be asked by anybody who can reach the address"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslobject_class = TellingHandshake
    # A key that wants a pass phrase would ask on the terminal, where there is one.
    chain = partial(context.load_cert_chain, daemon.tlscert, daemon.tlskey, password=lambda: "")
    _load(chain, {"tlscert": daemon.tlscert, "tlskey": daemon.tlskey})
    if daemon.tlsverify:
        if daemon.tlscacert is None:
            raise InvalidSettingError("tlsverify needs tlscacert: who signs the clients' certificates")
        _load(partial(context.load_verify_locations, daemon.tlscacert), {"tlscacert": daemon.tlscacert})
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _load(load: Callable[[], None], files: Mapping[str, Path]) -> None:
    """Read files for TLS.

    Raises:
        InvalidSettingError: A file cannot be used; the error names it, as the ssl module's errors do not.
    """
    for key, file in files.items():
        try:
            file.read_bytes()
        except OSError as error:
            raise InvalidSettingError(f"cannot read {key} {file}: {error.strerror}") from None
    try:
        load()
    except (OSError, ValueError) as error:
        named = " with ".join(f"{key} {file}" for key, file in files.items())
        said = getattr(error, "reason", None) or "no PEM file, or a key that wants a pass phrase"
        raise InvalidSettingError(f"cannot use {named}: {said}") from None


def unix_address(listeners: list[Listener]) -> str:
    """Return where other processes on this machine reach the daemon: its first unix socket; empty without one."""
    for listener in listeners:
        name = listener.socket.getsockname()
        if listener.socket.family is socket.AF_UNIX and isinstance(name, str) and name:
            return f"unix://{name}"
    return ""


def reached_at(listener: Listener) -> str:
    """Return where a client reaches a socket; for one that systemd has opened, the address it is bound to."""
    name = listener.socket.getsockname()
    if listener.address.kind == "fd" and isinstance(name, tuple):
        return str(Address("tcp", host=name[0], port=name[1]))
    if listener.address.kind == "fd" and isinstance(name, str) and name:
        return f"unix://{name}"
    return str(listener.address)


def close_all(listeners: list[Listener]) -> None:
    """Close sockets, and remove the files that were made for them, unless another process has replaced the file."""
    for listener in listeners:
        listener.socket.close()
        path = Path(listener.address.path)
        with suppress(OSError):
            if listener.inode and path.stat().st_ino == listener.inode:
                path.unlink()
