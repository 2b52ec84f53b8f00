"""Files in containers as ``X-Docker-Container-Path-Stat`` tells of them (moby-behaviour 6.20)."""

from __future__ import annotations

import base64
import stat

import msgspec

from headway import wire
from headway.container_records import FileStat
from headway.oci.moment import rfc3339

# Go's os.FileMode, which is not st_mode: kinds and special bits have bits of their own.
_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_SPECIAL = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


def path_stat(found: FileStat) -> str:
    """Return the header's value."""
    document = {
        "name": wire.as_text(found.name),
        "size": found.size,
        "mode": go_mode(found.mode),
        "mtime": rfc3339(found.mtime_ns),
        "linkTarget": wire.as_text(found.link_target),
    }
    return base64.b64encode(msgspec.json.encode(document)).decode()


def go_mode(mode: int) -> int:
    """Return ``st_mode`` as Go counts it."""
    special = sum(bit for flag, bit in _SPECIAL.items() if mode & flag)
    return (mode & 0o777) | special | _KINDS.get(stat.S_IFMT(mode), 0)
