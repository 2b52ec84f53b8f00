"""``/containers/{id}/archive``: what `docker cp` reads and writes (moby-behaviour 6.20)."""

from __future__ import annotations

import asyncio
import grp
import pwd
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from headway.engine.body import BodySource, with_body
from headway.engine.call import Call
from headway.engine.download import sent
from headway.engine.queries import InvalidQueryError
from headway.engine.routing import Route
from headway.engine.shapes.files import path_stat
from headway.service.containers.containers import Containers
from headway.service.containers.files import ContainerFiles

_NO_ID = 2**32 - 1  # chown(2): leave it as it is
_STAT = "X-Docker-Container-Path-Stat"


class ArchiveRoutes:
    """Reads and writes containers' files.

    Args:
        containers: Finds containers.
        files: Reads and writes their files.
    """

    def __init__(self, containers: Containers, files: ContainerFiles) -> None:
        self._containers = containers
        self._files = files

    def routes(self) -> list[Route]:
        """Return the lines of the table."""
        path = "/containers/{id}/archive"
        return [Route("HEAD", path, self._head), Route("GET", path, self._get), Route("PUT", path, self._put)]

    async def _head(self, call: Call) -> web.StreamResponse:
        found = await asyncio.to_thread(self._files.stat, call.places["id"], _path(call))
        return web.Response(headers={_STAT: path_stat(found)})

    async def _get(self, call: Call) -> web.StreamResponse:
        word, path = call.places["id"], _path(call)
        found = await asyncio.to_thread(self._files.stat, word, path)
        headers = {_STAT: path_stat(found)}
        return await sent(call, self._files.archive(word, path), "application/x-tar", headers, compress=True)

    async def _put(self, call: Call) -> web.StreamResponse:
        word, path = call.places["id"], _path(call)
        owner = await asyncio.to_thread(self._owner, word) if call.flag("copyUIDGID") else None
        keep = call.flag("noOverwriteDirNonDir")

        def extract(source: BodySource) -> None:
            self._files.extract(word, path, source, keep_kinds=keep, owner=owner)

        await with_body(call.request, extract)
        return web.Response(status=200)

    def _owner(self, word: str) -> tuple[int, int] | None:
        return owner(msgspec.json.decode(self._containers.get(word).config, type=_User).user)


class _User(msgspec.Struct):
    user: str = msgspec.field(default="", name="User")


def owner(text: str) -> tuple[int, int] | None:
    """Return the IDs for a container's ``user[:group]``, looked up in this machine's own databases as in Docker.

    Raises:
        InvalidQueryError: There is no such user or group.
    """
    user, _, group = text.partition(":")
    if not user:
        return None
    try:
        uid = pwd.getpwnam(user).pw_uid if (number := _number(user)) is None else number
        if not group:
            return uid, _group_of(uid)
        gid = grp.getgrnam(group).gr_gid if (number := _number(group)) is None else number
    except (KeyError, ValueError):
        raise InvalidQueryError(f"can't get uid/gid of user {text!r}: there is no such user here") from None
    return uid, gid


def _number(text: str) -> int | None:
    """Return an ID that is written as a number; None for a name, `ValueError` for the one that the kernel reserves."""
    if not (text.isascii() and text.isdecimal()):
        return None
    if len(text) > 10 or int(text) >= _NO_ID:
        raise ValueError(text)
    return int(text)


def _group_of(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return uid


def _path(call: Call) -> str:
    # Not `call.text`: a file may be called what is no UTF-8, and docker sends it as it is.
    query = parse_qsl(call.request.rel_url.raw_query_string, errors="surrogateescape")
    path = next((text for key, text in query if key == "path"), "")
    if not path:
        raise InvalidQueryError("bad parameter: path cannot be empty")
    return path
