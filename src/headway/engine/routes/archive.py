"""``/containers/{id}/archive``: what `docker cp` reads and writes (moby-behaviour 6.20)."""

from __future__ import annotations

import asyncio
import pwd

import msgspec
from aiohttp import web

from headway.engine.answers import nothing
from headway.engine.body import BodySource, with_body
from headway.engine.call import Call
from headway.engine.download import sent
from headway.engine.queries import InvalidQueryError
from headway.engine.routing import Route
from headway.engine.shapes.files import path_stat
from headway.service.container_files import ContainerFiles
from headway.service.containers import Containers

_STAT = "X-Docker-Container-Path-Stat"


class ArchiveRoutes:
    """Reads and writes containers' files.

    Args:
        containers: Knows them.
        files: Reaches into them.
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
        return nothing(200)

    def _owner(self, word: str) -> tuple[int, int] | None:
        """Return whom a container's user means in this machine's own user database, as Docker looks it up.

        Raises:
            InvalidQueryError: Nobody.
        """
        config = msgspec.json.decode(self._containers.get(word).config, type=_User)
        user, _, group = config.user.partition(":")
        if not user:
            return None
        try:
            entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
            uid, gid = entry.pw_uid, entry.pw_gid
        except KeyError:
            if not user.isdecimal():
                raise InvalidQueryError(f"can't get uid/gid of user {user!r}: there is no such user here") from None
            uid, gid = int(user), int(user)
        return uid, int(group) if group.isdecimal() else gid


class _User(msgspec.Struct):
    user: str = msgspec.field(default="", name="User")


def _path(call: Call) -> str:
    path = call.text("path")
    if not path:
        raise InvalidQueryError("bad parameter: path cannot be empty")
    return path
