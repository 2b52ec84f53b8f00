"""Answers that are made in one piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import msgspec
from aiohttp import web

from headway.engine.failures import error_body
from headway.errors import HeadwayError


def document(value: object, status: int = 200) -> web.Response:
    """Return `value` as a JSON answer, with the newline at its end that Docker's have."""
    return web.Response(body=msgspec.json.encode(value) + b"\n", status=status, content_type="application/json")


def refusal(
    status: int, message: str, *, headers: Mapping[str, str], error: HeadwayError | None = None
) -> web.Response:
    """Return the answer that tells of a failure; see `error_body`."""
    body = error_body(message, error)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


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
