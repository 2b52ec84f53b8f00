"""Answers that are sent in one piece: JSON documents and refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from aiohttp import web

from headway import wire
from headway.engine.failures import AnsweredError
from headway.errors import HeadwayError


def document(value: object, status: int = 200) -> web.Response:
    """Return `value` as a JSON answer, with the newline at its end that Docker's have."""
    return web.Response(body=wire.encode(value) + b"\n", status=status, content_type="application/json")


def refusal(
    status: int, message: str, *, headers: Mapping[str, str], error: HeadwayError | None = None
) -> web.Response:
    """Return what Docker's clients read a failure from; with `error`, Headway's own command reads that."""
    body: dict[str, object] = {"message": message}
    if error is not None:
        cause = error.__cause__ if isinstance(error, AnsweredError) else error
        body["error"] = cause if isinstance(cause, HeadwayError) else error
    answer = document(body, status)
    answer.headers.update(headers)
    return answer


@contextmanager
def leaving() -> Iterator[Callable[[], bool]]:
    """Give what tells, in a thread that works on, whether its caller has left: the client has, or the daemon ends."""
    has_left = False
    try:
        yield lambda: has_left
    finally:
        has_left = True
