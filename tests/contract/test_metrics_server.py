"""The address that serves measurements, before clients that nobody wants."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headway.daemon.metrics import metrics_served
from headway.engine import connections
from headway.engine.listeners import listen_tcp

UNASKED: Any = None  # who is not asked need not be there


async def test_connections_that_ask_for_nothing_are_closed_as_those_of_the_engine_api_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "REQUEST_SECONDS", 0.2)
    listeners = listen_tcp("127.0.0.1", 0)
    async with metrics_served(listeners, UNASKED, UNASKED, UNASKED, UNASKED, UNASKED), asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(*listeners[0].getsockname())
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: loc")
        assert await reader.read() == b""
        writer.close()
