"""Docker's routes for what Headway has none of, and for what it does not do.

Rule 1: a question has a true answer: there are no networks, no volumes, no swarm. So `docker inspect`, `docker system
        prune` and `docker volume ls` work.
Rule 2: an order to run, build or connect is refused with 501 and a sentence that says what does it, ready to paste.
Rule 3: who attaches as docker does is given a stream that ends at once: docker shows but the number of a refusal there.
        So `docker run` goes on to start what it made, and shows the sentence.
"""

from __future__ import annotations

from aiohttp import web

from headway.engine.answers import document
from headway.engine.call import Call
from headway.engine.failures import NoSwarmError, NotRunError
from headway.engine.routing import Handler, Route
from headway.errors import NotFoundError

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

_IN_CONTAINERS = "start stop restart kill pause unpause wait exec resize update"
_OF_CONTAINERS = "top logs stats attach/ws"


def routes() -> list[Route]:
    """Return the lines of the table."""
    posts = [(f"/containers/{{id}}/{verb}", _RUN) for verb in _IN_CONTAINERS.split()]
    posts += [("/exec/{id}/start", _RUN), ("/exec/{id}/resize", _RUN), ("/session", _BUILD), ("/build", _BUILD)]
    posts += [("/grpc", _BUILD), ("/build/cancel", _BUILD), ("/networks/create", _NETWORK)]
    posts += [("/networks/{id}/connect", _NETWORK), ("/networks/{id}/disconnect", _NETWORK)]
    posts += [("/volumes/create", _VOLUME), ("/plugins/pull", _PLUGIN), ("/plugins/create", _PLUGIN)]
    posts += [("/swarm/init", _SWARM), ("/swarm/join", _SWARM)]
    gets = [("/plugins/privileges", _PLUGIN)]
    gets += [(f"/containers/{{id}}/{noun}", _RUN) for noun in _OF_CONTAINERS.split()] + [("/exec/{id}/json", _RUN)]
    table = [Route("POST", "/containers/{id}/attach", _attach)]
    table += [Route("POST", path, _refusing(sentence)) for path, sentence in posts]
    table += [Route("GET", path, _refusing(sentence)) for path, sentence in gets]
    table += [Route(method, path, _answering(value)) for method, path, value in _EMPTY]
    table += [Route(method, path, _missing(what)) for method, path, what in _MISSING]
    table += [Route(method, path, _swarm) for method, path in _OF_SWARM]
    return table


_EMPTY: tuple[tuple[str, str, object], ...] = (
    ("GET", "/networks", []),
    ("GET", "/volumes", {"Volumes": [], "Warnings": None}),
    ("GET", "/plugins", []),
    ("POST", "/networks/prune", {"NetworksDeleted": None}),
    ("POST", "/volumes/prune", {"VolumesDeleted": [], "SpaceReclaimed": 0}),
    ("POST", "/build/prune", {"CachesDeleted": None, "SpaceReclaimed": 0}),
)
_MISSING = (
    *((method, "/networks/{name}", "network") for method in ("GET", "DELETE")),
    *((method, "/volumes/{name}", "volume") for method in ("GET", "PUT", "DELETE")),
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


async def _attach(call: Call) -> web.StreamResponse:
    if call.request.headers.get("Upgrade", "").lower() != "tcp":
        raise NotRunError(_RUN)
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


async def _swarm(call: Call) -> web.StreamResponse:
    raise NoSwarmError(_SWARM)
