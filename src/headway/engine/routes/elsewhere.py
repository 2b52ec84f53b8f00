"""Docker's routes for things that Headway does not have (empty lists) and does not do (errors that name who does).

Rule 1: a question gets a true answer: there are no networks, no volumes, no swarm. So `docker inspect`, `docker system
        prune` and `docker volume ls` work.
Rule 2: a request to run, build or connect is refused with 501 and a sentence that says what does it, ready to paste.
Rule 3: `docker run` attaches, and waits for the end, before it starts the container it made. For it to get that far,
        and show the sentence once, an attach is answered with a stream that ends at once, and a wait is kept waiting.
Rule 4: the container that a request names is looked up first: if there is none, the error says that, as in Docker.
Rule 5: a start that is refused has failed: a container made with ``--rm`` is removed then, as in Docker.
"""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from headway.engine.answers import document
from headway.engine.call import Call
from headway.engine.failures import NoSwarmError, NotRunError
from headway.engine.queries import InvalidQueryError
from headway.engine.routing import Handler, Route
from headway.engine.server import stream_headers
from headway.errors import HeadwayError, NotFoundError
from headway.service.containers.containers import Containers, removes_itself
from headway.service.events.event_query import EventQuery
from headway.service.events.events import Events
from headway.service.events.listening import listen

log = logging.getLogger(__name__)

_RUN = (
    "Headway keeps images and does not run containers; these do: "
    'podman run --rootfs "$(headway mount --read-write IMAGE)"  or  '
    "headway bundle IMAGE DIR && crun run -b DIR NAME  or  headway save IMAGE | docker load"
)
_BUILD = (
    "Headway does not build images: buildah build -t NAME .  does, and "
    "buildah push NAME docker-archive:/dev/stdout | headway load  hands over"
)
_NETWORK = (
    "Headway has no networks: those of the engine that runs the container count, such as podman network create NAME"
)
_VOLUME = "Headway has no volumes: those of the engine that runs the container count, such as podman volume create NAME"
_PLUGIN = "Headway has no plugins: drivers for volumes and networks belong to the engine that runs the container"
_SWARM = (
    "This node is not a swarm manager. Headway keeps images and belongs to no swarm: "
    "use dockerd's docker swarm init on a machine that runs containers"
)

_IN_CONTAINERS = "restart kill pause unpause exec resize update"
_OF_CONTAINERS = "top logs stats attach/ws"
_KEEPS_WAITING = ("next-exit", "removed")
_WAITS = ("", "not-running", *_KEEPS_WAITING)


def routes(containers: Containers, events: Events) -> list[Route]:
    """Return the lines of the table.

    Args:
        containers: Knows those that there are.
        events: Tell when one is gone.
    """
    of_container = _OfContainer(containers, events)
    return [
        Route("POST", "/containers/{id}/attach", of_container.attach),
        Route("POST", "/containers/{id}/start", of_container.start),
        Route("POST", "/containers/{id}/stop", of_container.stop),
        Route("POST", "/containers/{id}/wait", of_container.wait),
        *(Route("POST", f"/containers/{{id}}/{verb}", of_container.refuse) for verb in _IN_CONTAINERS.split()),
        *(Route("GET", f"/containers/{{id}}/{noun}", of_container.refuse) for noun in _OF_CONTAINERS.split()),
        Route("DELETE", "/volumes/{name}", _remove_volume),
        *(Route(method, path, _refusing(sentence)) for method, path, sentence in _REFUSED),
        *(Route(method, path, _answering(value)) for method, path, value in _EMPTY),
        *(Route(method, path, _missing(what)) for method, path, what in _MISSING),
        *(Route(method, path, _swarm) for method, path in _OF_SWARM),
    ]


_REFUSED = (
    *(("POST", path, _BUILD) for path in ("/session", "/build", "/grpc", "/build/cancel")),
    *(("POST", f"/networks/{rest}", _NETWORK) for rest in ("create", "{id}/connect", "{id}/disconnect")),
    ("POST", "/volumes/create", _VOLUME),
    *(("POST", f"/plugins/{verb}", _PLUGIN) for verb in ("pull", "create")),
    ("GET", "/plugins/privileges", _PLUGIN),
    *(("POST", f"/swarm/{verb}", _SWARM) for verb in ("init", "join")),
)
_EMPTY: tuple[tuple[str, str, object], ...] = (
    ("GET", "/networks", []),
    ("GET", "/volumes", {"Volumes": [], "Warnings": None}),
    ("GET", "/plugins", []),
    ("POST", "/networks/prune", {"NetworksDeleted": None}),
    ("POST", "/volumes/prune", {"VolumesDeleted": [], "SpaceReclaimed": 0}),
    ("POST", "/build/prune", {"CachesDeleted": None, "SpaceReclaimed": 0}),
)
_MISSING = (
    *(("POST", f"/exec/{{name}}/{verb}", "exec instance") for verb in ("start", "resize")),
    ("GET", "/exec/{name}/json", "exec instance"),
    *((method, "/networks/{name}", "network") for method in ("GET", "DELETE")),
    *((method, "/volumes/{name}", "volume") for method in ("GET", "PUT")),
    ("GET", "/plugins/{name}/json", "plugin"),
    ("DELETE", "/plugins/{name}", "plugin"),
    *(("POST", f"/plugins/{{name}}/{verb}", "plugin") for verb in ("enable", "disable", "upgrade", "push", "set")),
)
_NOUNS = ("nodes", "services", "tasks", "secrets", "configs")
_OF_SWARM = (
    *(("GET", path) for path in ("/swarm", "/swarm/unlockkey", *(f"/{noun}" for noun in _NOUNS))),
    *(("POST", f"/swarm/{verb}") for verb in ("leave", "update", "unlock")),
    *((method, f"/{noun}/{{name}}") for noun in _NOUNS for method in ("GET", "DELETE")),
    *(("POST", f"/{noun}/{{id}}/update") for noun in _NOUNS),
    *(("POST", f"/{noun}/create") for noun in _NOUNS),
    ("GET", "/services/{id}/logs"),
    ("GET", "/tasks/{id}/logs"),
)


def _refusing(sentence: str) -> Handler:
    async def refuse(call: Call) -> web.StreamResponse:
        raise NotRunError(sentence)

    return refuse


class _OfContainer:
    """Refuses what only an engine that runs containers does with one.

    Args:
        containers: Knows those that there are.
        events: Tell when one is gone.
    """

    def __init__(self, containers: Containers, events: Events) -> None:
        self._containers = containers
        self._events = events

    async def refuse(self, call: Call) -> web.StreamResponse:
        """Say what runs the container, if there is one."""
        await asyncio.to_thread(self._containers.get, call.places["id"])
        raise NotRunError(_RUN)

    async def start(self, call: Call) -> web.StreamResponse:
        """Refuse, and remove what was to be removed once it has run."""
        container = await asyncio.to_thread(self._containers.get, call.places["id"])
        if removes_itself(container):
            try:
                await asyncio.to_thread(self._containers.remove, container.container_id)
            except NotFoundError:
                pass  # somebody was faster
            except HeadwayError as error:  # somebody is in it, or the disk failed: the refusal is said all the same
                log.warning("container %s, made with --rm, is not removed: %s", container.container_id, error)
        raise NotRunError(_RUN)

    async def stop(self, call: Call) -> web.StreamResponse:
        """Say that it has stopped already, as it has: scripts that clean up stop a container before they remove it."""
        await asyncio.to_thread(self._containers.get, call.places["id"])
        return web.Response(status=304)

    async def wait(self, call: Call) -> web.StreamResponse:
        """Keep who waits for an end that is still to come, until the container is gone, or the client; see rule 3."""
        if (condition := call.text("condition")) not in _WAITS:
            raise InvalidQueryError(f'invalid condition: "{condition}"')
        if condition not in _KEEPS_WAITING:
            return await self.refuse(call)
        container = await asyncio.to_thread(self._containers.get, call.places["id"])
        is_removed = EventQuery(filters={"container": [container.container_id], "event": ["destroy"]})
        response = web.StreamResponse(headers=stream_headers("application/json"))
        with listen(self._events, is_removed) as listener:
            # Of one that has gone by now nobody tells any more.
            await asyncio.to_thread(self._containers.get, container.container_id)
            await response.prepare(call.request)  # at once: a client waits for the headers before it goes on
            async with call.until_stopped():
                await anext(listener.heard())
        await response.write(b'{"StatusCode":125}\n')  # as docker's own where nothing could be run
        await response.write_eof()
        return response

    async def attach(self, call: Call) -> web.StreamResponse:
        """Give who attaches as docker does a stream that ends at once; see rule 3."""
        if call.request.headers.get("Upgrade", "").lower() != "tcp":
            return await self.refuse(call)
        await asyncio.to_thread(self._containers.get, call.places["id"])
        stream = web.Response(status=101, headers={"Connection": "Upgrade", "Upgrade": "tcp"})
        stream.force_close()
        return stream


def _answering(value: object) -> Handler:
    async def answer(call: Call) -> web.StreamResponse:
        return document(value)

    return answer


def _missing(what: str) -> Handler:
    async def miss(call: Call) -> web.StreamResponse:
        raise NotFoundError(what, call.places["name"])

    return miss


async def _remove_volume(call: Call) -> web.StreamResponse:
    """Say that it is gone to who only wants it to be (`docker volume rm -f`), and that there is none to others."""
    if call.flag("force"):
        return web.Response(status=204)
    raise NotFoundError("volume", call.places["name"])


async def _swarm(call: Call) -> web.StreamResponse:
    raise NoSwarmError(_SWARM)
