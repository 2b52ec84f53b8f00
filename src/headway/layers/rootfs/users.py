"""Resolves the ``User`` of an image's config to numbers, by the image's own /etc/passwd and /etc/group.

Rule: numbers are taken as they are; for a name the first line that matches wins (image-spec, conversion.md; the
      details are those of Docker and runc). The files are never read outside the root file system.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

import msgspec

from headway.errors import InvalidDocumentError
from headway.layers.failures import disk_failures
from headway.layers.trees.merged import MergedView

_MAX_FILE_BYTES = 16 << 20
_MAX_ID = (1 << 32) - 2


class ProcessUser(msgspec.Struct, frozen=True):
    """The user that a runtime starts a process as.

    Attributes:
        uid: User ID.
        gid: Group ID.
        additional_gids: IDs of groups that list the user; none where the config names a group itself.
    """

    uid: int = 0
    gid: int = 0
    additional_gids: tuple[int, ...] = ()


def find_user(view: MergedView, spec: str) -> ProcessUser:
    """Return the user that ``user``, ``uid``, ``user:group`` and the like stand for; an empty `spec` is user 0.

    Raises:
        InvalidDocumentError: The image's files lack the name, or a number is not a valid ID.
        StoreError: The disk failed.
    """
    user, _, group = spec.partition(":")
    uid = _asked(user or "0")
    known = next((line for line in _lines(view, "etc/passwd", 4) if _fits(line, user, uid)), None)
    if known is None and uid is None:
        raise InvalidDocumentError(f"the image runs as user {user}, whom its /etc/passwd does not have")
    if uid is None and known is not None:
        uid = _number(known[2])
    gid = _number(known[3]) if known else 0
    additional: tuple[int, ...] = ()
    if group:
        gid = _find_group(view, group)
    elif known:
        listed = (line for line in _lines(view, "etc/group", 4) if known[0] in line[3].split(","))
        additional = tuple(found for found in (_number(line[2]) for line in listed) if found is not None)
    return ProcessUser(uid or 0, gid or 0, additional)


def _find_group(view: MergedView, group: str) -> int:
    gid = _asked(group)
    if gid is None:
        gid = next((_number(line[2]) for line in _lines(view, "etc/group", 3) if line[0] == group), None)
    if gid is None:
        raise InvalidDocumentError(f"the image runs as group {group}, which its /etc/group does not have")
    return gid


def _fits(line: list[str], user: str, uid: int | None) -> bool:
    return _number(line[2]) == uid if uid is not None else line[0] == user and _number(line[2]) is not None


def _asked(text: str) -> int | None:
    """Return the ID that a config names; None where it is a name.

    Raises:
        InvalidDocumentError: It is a number, but not a valid ID.
    """
    number = _number(text)
    if number is None and text.isascii() and text.isdecimal():
        raise InvalidDocumentError(f"{text[:20]} is no user or group ID")
    return number


def _number(text: str) -> int | None:
    """Return a text as an ID; None where it is not one, as may be in lines of the files that do not matter."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 10 or int(text) > _MAX_ID:
        return None
    return int(text)


def _lines(view: MergedView, path: str, fields: int) -> Iterator[list[str]]:
    """Yield the lines of a colon-separated file that have at least `fields` fields; none if it is no regular file."""
    entry = view.lookup(path)
    if entry is None or not stat.S_ISREG(entry.mode):
        return
    with disk_failures(path):
        with os.fdopen(view.open_file(entry), "rb") as file:
            data = file.read(_MAX_FILE_BYTES)
        for line in data.decode("utf-8", "surrogateescape").splitlines():
            parts = line.strip().split(":")
            if len(parts) >= fields:
                yield parts
