"""What measurements of this machine, the way and a registry mean for its pulls. No I/O.

Rule: every finding says what was measured; what was not measured is no finding.
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
"""What a segment has at least for it to say that packets of the usual size pass: 1,500 less headers and a tunnel's."""


class Level(StrEnum):
    """How bad it is."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


class Section(StrEnum):
    """On whose side."""

    HERE = "here"
    WAY = "the way"
    REGISTRY = "registry"


class Finding(msgspec.Struct, frozen=True):
    """One check and its proof.

    Attributes:
        section: On whose side.
        level: How bad.
        check: What was looked at, in a word.
        text: What was measured.
        advice: What to do, where there is something.
    """

    section: Section
    level: Level
    check: str
    text: str
    advice: str = ""


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """What a first request to a registry has shown.

    Attributes:
        host: Who was asked.
        addresses: Where it is, in the order in which they were tried.
        names_seconds: How long the name servers took; None where there was nothing to ask.
        proxy: What led there; empty for nothing.
        connect_seconds: How long the connection took.
        tls_version: As ``TLSv1.3``; empty for plain HTTP.
        tls_seconds: How long agreeing took.
        answer_seconds: How long the answer took.
        clock_seconds: How far our clock is ahead of the registry's; None where it does not say.
        segment_bytes: The largest segment that came, as far as the kernel knows; 0 where it does not.
        only_small: Whether large packets vanish and small ones pass.
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
    """Return what there is to say of the data root's disk.

    Args:
        space: What is free.
        kind: Of file system.
        driver: What mounts layers; empty where nothing does.
        why_no_driver: The reason.
        held: Bytes that unfinished downloads hold.
        unfinished: How many there are.
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
    """Return how far the clock is off, None where the registry does not say."""
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
    """Return what the way to a registry is like."""
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
    """Return what it means whether a registry answers a request for a part of a blob with that part."""
    if honoured:
        return Finding(Section.REGISTRY, Level.OK, "Range", "honoured (206): a cut costs nothing")
    text = "ignored (200 for 206): a cut costs up to 2 x of that layer"
    return Finding(
        Section.REGISTRY, Level.FAIL, "Range", text, f"a mirror of {host} that honours it (registry-mirrors)"
    )


def rate_finding(received: int, seconds: float) -> Finding:
    """Return how fast bytes came."""
    rate = received / max(seconds, 1e-6)
    text = f"{rate * 8 / 1e6:.2f} Mbit/s ({size(rate)}/s) over {size(received)}"
    return Finding(Section.WAY, Level.OK, "rate", text)


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
