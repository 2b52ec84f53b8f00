"""Answers that are streamed: archives, which a thread produces while they are sent.

Rule 1: until the first piece is there, an error is an HTTP error; afterwards the connection ends without its end, so
        that nobody takes half an archive for a whole one.
Rule 2: such an end is in the log: the client cannot be told why.
Rule 3: whatever ends the answer closes what it was read from.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator, Mapping

from aiohttp import web

from headway.engine.call import Call
from headway.engine.failures import failure
from headway.engine.server import stream_headers

log = logging.getLogger(__name__)


class _Pieces:
    """A generator that is asked in whatever thread is free, by one at a time."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._turn = threading.Lock()

    def next(self) -> bytes:
        """Return the next piece; ``b""`` at the end."""
        with self._turn:
            return next(self._pieces, b"")

    def close(self) -> None:
        """Let the generator clean up, after the piece that is under way."""
        with self._turn:
            if (close := getattr(self._pieces, "close", None)) is not None:
                close()


async def sent(
    call: Call,
    pieces: Iterator[bytes],
    content_type: str,
    headers: Mapping[str, str] | None = None,
    *,
    compress: bool = False,
) -> web.StreamResponse:
    """Answer with `pieces`, none of them empty.

    Args:
        call: Asks for them.
        pieces: Read in a thread.
        content_type: Theirs.
        headers: Further ones.
        compress: Whether they may go as gzip. Nearly every client says that it takes it, also on this machine, where it
            costs ten times what it saves: so it is for what Docker compresses, too.

    Raises:
        ConnectionResetError: The client has left, or the answer could not be finished.
        Exception: What `pieces` raised before the first one.
    """
    response = web.StreamResponse(headers={**stream_headers(content_type), **(headers or {})})
    # As docker reads it: who gives gzip a weight, which may be 0, gets none.
    taken = (coding.strip() for coding in call.request.headers.get("Accept-Encoding", "").split(","))
    if compress and "gzip" in taken:
        response.enable_compression(web.ContentCoding.gzip)
    source = _Pieces(pieces)
    try:
        piece = await asyncio.to_thread(source.next)
        await response.prepare(call.request)
        while piece:
            await response.write(piece)
            piece = await asyncio.to_thread(source.next)
        await response.write_eof()
    except ConnectionResetError:
        raise
    except Exception as error:
        if not response.prepared:
            raise
        log.error("request %s: an answer was cut short: %s", call.request_id, failure(error).message)  # noqa: TRY400  # a bug has its traceback there
        if call.request.transport is not None:
            call.request.transport.abort()
        raise ConnectionResetError("the answer could not be finished") from error
    finally:
        await asyncio.shield(asyncio.to_thread(source.close))
    return response
