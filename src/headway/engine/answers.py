"""Answers that are made in one piece."""

from __future__ import annotations

import msgspec
from aiohttp import web


def document(value: object, status: int = 200) -> web.Response:
    """Return `value` as a JSON answer, with the newline at its end that Docker's have."""
    return web.Response(body=msgspec.json.encode(value) + b"\n", status=status, content_type="application/json")


def nothing(status: int) -> web.Response:
    """Return an answer without a body."""
    return web.Response(status=status)
