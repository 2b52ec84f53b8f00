"""Turns measurements of this machine, of the network and of a registry into findings for `headway doctor`. No I/O.

Rule: every finding names what was measured; what was not measured makes no finding.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from headway.distribution.room import Space
from headway.units import counted, duration, size

LITTLE_BYTES = 500_000_000
NEXT_TO_NO_BYTES = 16_000_000
LITTLE_INODES = 10_000
CLOCK_SECONDS = 60.0
SLOW_NAMES_SECONDS = 2.0
SLOW_ANSWER_SECONDS = 5.0
SMALLEST_LARGE_SEGMENT = 1300
"""A TCP segment of at least this many bytes proves that packets of the usual size pass: 1,500, less headers and those
of a tunnel."""


class Level(StrEnum):
    """How bad a finding is."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


class Section(StrEnum):
    """What a finding is about."""

    HERE = "here"
    WAY = "the way"
    REGISTRY = "registry"


class Finding(msgspec.Struct, frozen=True):
    """The result of one check.

    Attributes:
        section: What it is about.
        level: How bad it is.
        check: Name of the check.
        text: What was measured.
        advice: What to do; empty for nothing.
    """

    section: Section
    level: Level
    check: str
    text: str
    advice: str = ""


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """Measurements of a first request to a registry.

    Attributes:
        host: The registry.
        addresses: Its addresses, in the order in which they were tried.
        names_seconds: How long the name lookup took; None where none was needed.
        proxy: The proxy that was used; empty for none.
        connect_seconds: How long connecting took.
        tls_version: Such as ``TLSv1.3``; empty for plain HTTP.
        tls_seconds: How long the TLS handshake took.
        answer_seconds: How long the answer took.
        clock_seconds: How far our clock is ahead of the registry's; None where it sends no ``Date``.
        segment_bytes: The largest segment that was received, according to the kernel; 0 where it is not known.
        only_small: Whether large packets vanish while small ones pass.
    """

    host: str
    addresses: tuple[str, ...]
    names_seconds: float | None
    proxy: str
    connect_seconds: float
    tls_version: str
    tls_seconds: float
    answer_seconds: float
    clock_seconds: float | None
    segment_bytes: int
    only_small: bool


def disk_finding(space: Space, *, kind: str, driver: str, why_no_driver: str, held: int, unfinished: int) -> Finding:
    """Return the finding about the data root's disk.

    Args:
        space: Free space.
        kind: Kind of file system; empty where it is not known.
        driver: Name of the driver that mounts layers; empty where none works.
        why_no_driver: Why none works.
        held: Bytes that unfinished downloads hold.
        unfinished: How many unfinished downloads there are.
    """
    text = f"{size(space.bytes)} free, {kind or 'unknown file system'}; "
    text += f"{driver} works" if driver else f"nothing mounts layers ({why_no_driver})"
    if unfinished:
        text += f"; {size(held)} in {counted(unfinished, 'unfinished download')}"
    if space.inodes is not None and space.inodes < LITTLE_INODES:
        text += f"; {space.inodes:,} inodes free"
    room = "headway df shows what takes it, headway prune makes room"
    if space.bytes < NEXT_TO_NO_BYTES or space.inodes == 0:
        return Finding(Section.HERE, Level.FAIL, "disk", text, room)
    if space.bytes < LITTLE_BYTES or (space.inodes is not None and space.inodes < LITTLE_INODES):
        return Finding(Section.HERE, Level.WARN, "disk", text, room)
    if kind == "overlay":  # as in a container without a volume
        text += "; it takes no whiteouts, which most images have"
        return Finding(Section.HERE, Level.WARN, "disk", text, "a data root on a volume, or another disk")
    return Finding(Section.HERE, Level.OK if driver else Level.WARN, "disk", text)


def clock_finding(reached: Reached) -> Finding | None:
    """Return the finding about this machine's clock; None where the registry sends no ``Date``."""
    ahead = reached.clock_seconds
    if ahead is None:
        return None
    if abs(ahead) < CLOCK_SECONDS:
        return Finding(Section.HERE, Level.OK, "clock", f"within {max(2, round(abs(ahead)))} s of {reached.host}'s")
    where = "ahead of" if ahead > 0 else "behind"
    return Finding(
        Section.HERE,
        Level.WARN,
        "clock",
        f"{duration(abs(ahead))} {where} {reached.host}'s"
        + ("; certificates are still valid" * bool(reached.tls_version)),
        "timedatectl set-ntp true",
    )


def way_findings(reached: Reached) -> list[Finding]:
    """Return the findings about the network between here and a registry."""
    return [*_names(reached), _connect(reached), *_packets(reached)]


def _names(reached: Reached) -> list[Finding]:
    if reached.names_seconds is None:
        return []
    first = reached.addresses[0] if reached.addresses else "?"
    more = f" and {len(reached.addresses) - 1} more" if len(reached.addresses) > 1 else ""
    name = reached.proxy or reached.host
    text = f"{name} -> {first}{more} in {_seconds(reached.names_seconds)}"
    slow = reached.names_seconds > SLOW_NAMES_SECONDS
    advice = "a name server that is nearer (see /etc/resolv.conf)" if slow else ""
    return [Finding(Section.WAY, Level.WARN if slow else Level.OK, "DNS", text, advice)]


def _connect(reached: Reached) -> Finding:
    text = _seconds(reached.connect_seconds)
    if reached.tls_version:
        text += f"; {reached.tls_version.replace('TLSv', 'TLS ')}, {_seconds(reached.tls_seconds)}"
    else:
        text += "; plain HTTP"
    text += f"; answers after {_seconds(reached.answer_seconds)}; proxy: {reached.proxy or 'none'}"
    slow = reached.answer_seconds > SLOW_ANSWER_SECONDS
    return Finding(Section.WAY, Level.WARN if slow else Level.OK, "connect", text)


def _packets(reached: Reached) -> list[Finding]:
    if reached.only_small:
        advice = "a smaller MTU on the interface or tunnel that leads there: ip link set dev NAME mtu 1280"
        return [Finding(Section.WAY, Level.WARN, "MTU", "large packets vanish, small ones pass", advice)]
    if reached.segment_bytes >= SMALLEST_LARGE_SEGMENT:
        return [Finding(Section.WAY, Level.OK, "MTU", f"segments of {reached.segment_bytes:,} bytes pass")]
    return []


def range_finding(host: str, *, honoured: bool) -> Finding:
    """Return the finding about ranges: whether a registry answers a request for a part of a blob with that part."""
    if honoured:
        return Finding(Section.REGISTRY, Level.OK, "Range", "honoured (206): a cut costs nothing")
    text = "ignored (200 for 206): a cut costs up to 2 x of that layer"
    return Finding(
        Section.REGISTRY, Level.FAIL, "Range", text, f"a mirror of {host} that honours it (registry-mirrors)"
    )


def rate_finding(received: int, seconds: float) -> Finding:
    """Return the finding about the download rate.

    Args:
        received: Bytes received.
        seconds: In how many seconds.
    """
    rate = received / max(seconds, 1e-6)
    text = f"{rate * 8 / 1e6:.2f} Mbit/s ({size(rate)}/s) over {size(received)}"
    return Finding(Section.WAY, Level.OK, "rate", text)


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
