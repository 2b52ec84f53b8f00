"""The Engine API's server over a test's own routes, in the test's own event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from headway.engine.routing import Route
from headway.engine.server import EngineServer


@asynccontextmanager
async def serving(listener: socket.socket, routes: Iterable[Route]) -> AsyncIterator[None]:
    """Serve routes until the block ends; nobody is waited for then."""
    server = EngineServer(routes)
    listening = await asyncio.get_running_loop().create_server(server, sock=listener)
    try:
        yield
    finally:
        listening.close()
        await server.shutdown(0.1)
        await listening.wait_closed()


async def answer_to(listener: socket.socket, request: bytes) -> bytes:
    """Send a request over TCP, and return everything that comes until the server closes the connection."""
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(request)
    try:
        return await reader.read()
    finally:
        writer.close()
