"""Finds the handler of a request in a table of methods and paths (moby-behaviour 6.1 and 6.2).

Rule 1: every route exists with a version before it and without.
Rule 2: what no route means is 404 `page not found`, another method and a slash at the end too; never 405.
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
        path: With ``{places}``, which may hold slashes, as names do.
        handler: What answers.
    """

    method: str
    path: str
    handler: Handler


class Match(msgspec.Struct, frozen=True):
    """What a path means.

    Attributes:
        handler: What answers.
        places: What stood where the route has ``{places}``.
        path: The route's own, with its ``{places}``.
    """

    handler: Handler
    places: dict[str, str]
    path: str


class Router:
    """Finds the route of a path.

    Args:
        routes: The first one that fits counts.
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
        """Return what a path without its version means, or None."""
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
    """Return `path` without doubled slashes and dots, as Docker's router does; a slash at the end stays."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    is_open = bool(parts) and path.endswith("/")
    return "/" + "/".join(parts) + ("/" if is_open else "")


def _pattern(path: str) -> re.Pattern[str]:
    # Everything, as Docker's router takes it: who gives an image's name to a container's route hears what is not there.
    return re.compile(_PLACE.sub(r"(?P<\1>.+)", path.replace(".", r"\.")))
