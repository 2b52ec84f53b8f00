"""Answers that are made in one piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
from aiohttp import web


def document(value: object, status: int = 200) -> web.Response:
    """Return `value` as a JSON answer, with the newline at its end that Docker's have."""
    return web.Response(body=msgspec.json.encode(value) + b"\n", status=status, content_type="application/json")


def nothing(status: int) -> web.Response:
    """Return an answer without a body."""
    return web.Response(status=status)


@contextmanager
def leaving() -> Iterator[Callable[[], bool]]:
    """Give what tells, in a thread that works on, whether its caller has left: the client has, or the daemon ends."""
    has_left = False
    try:
        yield lambda: has_left
    finally:
        has_left = True
