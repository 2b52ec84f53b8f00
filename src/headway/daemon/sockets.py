"""The sockets of one daemon: opened as its configuration says, with TLS where that is asked for."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path
from typing import NamedTuple

from headway.daemon.configuration import DaemonSettings
from headway.engine.listeners import Address, listen_tcp, listen_unix, passed_sockets
from headway.errors import InvalidSettingError


class Listener(NamedTuple):
    """One listening socket.

    Attributes:
        socket: It.
        address: What it was asked for as.
        tls: What speaks TLS on it; None for plain HTTP.
    """

    socket: socket.socket
    address: Address
    tls: ssl.SSLContext | None


def default_socket(environment: dict[str, str], uid: int) -> str:
    """Return the address to listen on where none is set: root's, or this user's own."""
    if uid == 0:
        return "unix:///run/headway.sock"
    directory = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
    return f"unix://{directory}/headway.sock"


def open_all(daemon: DaemonSettings, addresses: list[Address]) -> list[Listener]:
    """Listen on every address.

    Raises:
        InvalidSettingError: One cannot be listened on, or speaks no TLS without having been told so.
        ConflictError: One is taken.
    """
    context = _context(daemon) if any(address.kind == "tcp" for address in addresses) else None
    listeners: list[Listener] = []
    try:
        for address in addresses:
            listeners += _open(daemon, address, context)
    except BaseException:
        close_all(listeners)
        raise
    return listeners


def _open(daemon: DaemonSettings, address: Address, context: ssl.SSLContext | None) -> list[Listener]:
    if address.kind == "unix":
        return [Listener(listen_unix(Path(address.path), group=daemon.group), address, None)]
    if address.kind == "fd":
        return [Listener(each, address, None) for each in passed_sockets(dict(os.environ), os.getpid())]
    return [Listener(each, address, context) for each in listen_tcp(address.host, address.port)]


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
    try:
        context.load_cert_chain(daemon.tlscert, daemon.tlskey)
        if daemon.tlsverify:
            if daemon.tlscacert is None:
                raise InvalidSettingError("tlsverify needs tlscacert: who signs the clients' certificates")
            context.load_verify_locations(daemon.tlscacert)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise InvalidSettingError(f"cannot use the TLS files: {error}") from None
    return context


def unix_address(listeners: list[Listener]) -> str:
    """Return where other processes of this machine reach the daemon: its first unix socket; empty without one."""
    for listener in listeners:
        name = listener.socket.getsockname()
        if listener.socket.family is socket.AF_UNIX and isinstance(name, str) and name:
            return f"unix://{name}"
    return ""


def close_all(listeners: list[Listener]) -> None:
    """Close them, and remove the files of those that have one."""
    for listener in listeners:
        listener.socket.close()
        if listener.address.kind == "unix":
            Path(listener.address.path).unlink(missing_ok=True)
