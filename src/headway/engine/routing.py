"""Finds the handler of a request in a table of methods and paths (moby-behaviour 6.1 and 6.2).

Rule 1: every route exists with and without a version in front.
Rule 2: a request that matches no route is answered with 404 `page not found`, never with 405: also one with another
        method, or with a slash at the end.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

if TYPE_CHECKING:
    from aiohttp import web

    from headway.engine.call import Call

Handler: TypeAlias = Callable[["Call"], Awaitable["web.StreamResponse"]]

_VERSION = re.compile(r"/v([0-9.]+)(?=/)")
_PLACE = re.compile(r"\{(\w+)\}")


class Route(NamedTuple):
    """One line of the table.

    Attributes:
        method: HTTP method.
        path: With ``{places}``, which match any text, slashes included, as in names of images.
        handler: Answers the request.
    """

    method: str
    path: str
    handler: Handler


class Match(msgspec.Struct, frozen=True):
    """The route that a path matches.

    Attributes:
        handler: Answers the request.
        places: The texts at the route's ``{places}``, by name.
        path: The path of the route, with its ``{places}``.
    """

    handler: Handler
    places: dict[str, str]
    path: str


class Router:
    """Finds the route of a path.

    Args:
        routes: The routes; the first match counts.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._fixed: dict[tuple[str, str], Handler] = {}
        self._patterns: dict[str, list[tuple[re.Pattern[str], Route]]] = {}
        for route in routes:
            if "{" in route.path:
                self._patterns.setdefault(route.method, []).append((_pattern(route.path), route))
            else:
                self._fixed.setdefault((route.method, route.path), route.handler)

    def match(self, method: str, path: str) -> Match | None:
        """Return the match for a path without its version; None where there is none."""
        if (fixed := self._fixed.get((method, path))) is not None:
            return Match(fixed, {}, path)
        for pattern, route in self._patterns.get(method, ()):
            if found := pattern.fullmatch(path):
                return Match(route.handler, found.groupdict(), route.path)
        return None


def split_version(path: str) -> tuple[str | None, str]:
    """Return the text of a path's version, if it begins with one, and the path without it."""
    if found := _VERSION.match(path):
        return found[1], path[found.end() :]
    return None, path


def cleaned(path: str) -> str:
    """Return `path` without double slashes, ``.`` and ``..``, as Docker's router does; a slash at the end is kept."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    is_open = bool(parts) and path.endswith("/")
    return "/" + "/".join(parts) + ("/" if is_open else "")


def _pattern(path: str) -> re.Pattern[str]:
    # Any text, as in Docker's router: an image's name on a container's route is answered with "No such container".
    return re.compile(_PLACE.sub(r"(?P<\1>.+)", path.replace(".", r"\.")))
