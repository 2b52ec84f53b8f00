"""Answers that are made while they are sent: archives, byte by byte from a thread that reads them.

Rule 1: until the first piece is there, an error is an HTTP error; afterwards the connection ends without its end, so
        that nobody takes half an archive for a whole one.
Rule 2: whatever ends the answer closes what it was read from.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping

from aiohttp import web

from headway.engine.call import Call
from headway.engine.server import stream_headers


class _Pieces:
    """A generator that is asked in whatever thread is free, by one at a time."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._turn = threading.Lock()

    def next(self) -> bytes:
        """Return the next piece; nothing at the end."""
        with self._turn:
            return next(self._pieces, b"")

    def close(self) -> None:
        """Let the generator clean up, after the piece that is under way."""
        with self._turn:
            if (close := getattr(self._pieces, "close", None)) is not None:
                close()


async def sent(
    call: Call, pieces: Iterator[bytes], content_type: str, headers: Mapping[str, str] | None = None
) -> web.StreamResponse:
    """Answer with `pieces`, none of them empty.

    Raises:
        Exception: What `pieces` raised before the first one.
    """
    response = web.StreamResponse(headers={**stream_headers(content_type), **(headers or {})})
    if "gzip" in call.request.headers.get("Accept-Encoding", ""):
        response.enable_compression(web.ContentCoding.gzip)
    source = _Pieces(pieces)
    try:
        piece = await asyncio.to_thread(source.next)
        await response.prepare(call.request)
        while piece:
            await response.write(piece)
            piece = await asyncio.to_thread(source.next)
        await response.write_eof()
    except Exception:
        if response.prepared and call.request.transport is not None:
            call.request.transport.abort()
        raise
    finally:
        await asyncio.shield(asyncio.to_thread(source.close))
    return response
