"""Ports as Docker writes them: ``80``, ``8000-8010/udp``, ``127.0.0.1:8080:80/tcp``.

Rule: an image says which ports its containers listen on. How they are published is decided by whoever runs them, so
      that part is checked and dropped, as in Docker.
"""

from __future__ import annotations

import ipaddress

from headway.errors import InvalidChangeError

_PROTOCOLS = frozenset(("tcp", "udp", "sctp"))
_MAX_PORT = 65535


def exposed_ports(spec: str) -> list[str]:
    """Return the ports of a container that `spec` names, each as ``80/tcp``.

    Raises:
        InvalidChangeError: It is not valid; in Docker's words.
    """
    *host, inside = spec.split(":")
    ports, _, protocol = inside.partition("/")
    protocol = protocol.partition("/")[0] or "tcp"
    _check_address(":".join(host[:-1]))
    if not ports:
        raise InvalidChangeError(f"No port specified: {spec}<empty>")
    wanted = _range(ports, "containerPort")
    if host and host[-1]:
        outside = _range(host[-1], "hostPort")
        if len(wanted) not in (1, len(outside)):
            raise InvalidChangeError(f"Invalid ranges specified for container and host Ports: {ports} and {host[-1]}")
    if protocol.lower() not in _PROTOCOLS:
        raise InvalidChangeError(f"Invalid proto: {protocol}")
    return [f"{port}/{protocol.lower()}" for port in wanted]


def _check_address(text: str) -> None:
    if not text:
        return
    try:
        ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise InvalidChangeError(f"Invalid ip address: {text}") from None


def _range(text: str, what: str) -> range:
    first, dash, last = text.partition("-")
    begin, end = _number(first), _number(last if dash else first)
    if begin is None or end is None or end < begin:
        raise InvalidChangeError(f"Invalid {what}: {text}")
    return range(begin, end + 1)


def _number(text: str) -> int | None:
    is_number = text.isascii() and text.isdecimal() and len(text) <= 8
    return int(text) if is_number and int(text) <= _MAX_PORT else None
