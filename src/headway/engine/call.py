"""One request to the Engine API, as its handler sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec
from aiohttp import web
from multidict import MultiDict

from headway.engine import queries
from headway.engine.api_version import ApiVersion
from headway.engine.failures import AnsweredError
from headway.engine.queries import InvalidQueryError
from headway.oci.platform import Platform

T = TypeVar("T")
MAX_DOCUMENT_BYTES = 4 << 20
MAX_FORM_BYTES = 64 * 1024  # as much as a query string may hold
DOCUMENT_SECONDS = 30.0
_KNOWS_PLATFORMS = ApiVersion(1, 48)


class Call:
    """A request, taken apart.

    Args:
        request: The HTTP request.
        version: The version of the API that it uses.
        places: The values in the path for the placeholders of the route.
        request_id: Its ID in the log.
        endless: The server's streams without an end of their own; the server ends them when it stops.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        version: ApiVersion,
        places: dict[str, str],
        request_id: str,
        endless: set[asyncio.Timeout],
    ) -> None:
        self.request = request
        self.version = version
        self.places = places
        self.request_id = request_id
        self._endless = endless
        self._query: queries.Query | None = None

    @asynccontextmanager
    async def until_stopped(self) -> AsyncIterator[None]:
        """Run a block that has no end of its own; when the server stops, the block ends at once and raises nothing."""
        stream = asyncio.timeout(None)
        self._endless.add(stream)
        try:
            async with stream:
                yield
        except TimeoutError:
            if not stream.expired():
                raise
        finally:
            self._endless.discard(stream)

    @property
    def query(self) -> queries.Query:
        """The parameters: those of the form, if there is one and it was read, then those of the query string.

        Raises:
            InvalidQueryError: The query string cannot be parsed.
        """
        if self._query is None:
            queries.require_parseable(self.request.rel_url.raw_query_string)
            self._query = self.request.query
        return self._query

    async def take_form(self) -> None:
        """Read parameters from the body, too, if its content type is that of a form; they win, as in Docker.

        It is for routes that do not read the body otherwise: curl sends every body as a form.

        Raises:
            InvalidQueryError: It cannot be parsed, or is longer than a query string may be.
            AnsweredError: It did not come in time.
        """
        if self._content_type() == "application/x-www-form-urlencoded":
            form = queries.parameters((await self.body(MAX_FORM_BYTES)).decode(errors="replace"))
            self._query = MultiDict([*form.items(), *self.query.items()])

    def text(self, key: str) -> str:
        """Return a parameter's first value; empty if there is none."""
        return self.query.get(key, "")

    def texts(self, key: str) -> list[str]:
        """Return every value of a parameter."""
        return self.query.getall(key, [])

    def flag(self, key: str, *, default: bool = False) -> bool:
        """See `queries.flag`."""
        return queries.flag(self.query, key, default=default)

    def number(self, key: str) -> int:
        """See `queries.number`."""
        return queries.number(self.query, key)

    def filters(self) -> dict[str, list[str]]:
        """See `queries.filters`."""
        return queries.filters(self.query)

    def platform(self) -> Platform | None:
        """Return the requested platform; None if the request names none, or its API version has no such parameter.

        Raises:
            InvalidQueryError: See `queries.platform`.
        """
        return queries.platform(self.query) if self.version >= _KNOWS_PLATFORMS else None

    async def document(self, kind: type[T]) -> T:
        """Return the JSON body as `kind`.

        Raises:
            InvalidQueryError: It is something else, or longer than 4 MiB.
        """
        return self._decoded(await self.body(MAX_DOCUMENT_BYTES), kind)

    async def document_if_any(self, kind: type[T], *, typed: bool = True) -> T | None:
        """Return the JSON body as `kind`; None where there is no body, or null. Raise as `document`.

        Args:
            kind: See above.
            typed: Whether its content type has to be JSON's; curl sends every body as a form.
        """
        data = await self.body(MAX_DOCUMENT_BYTES)
        return self._decoded(data, kind, typed=typed) if data.strip() not in (b"", b"null") else None

    def _content_type(self) -> str:
        return self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def _decoded(self, data: bytes, kind: type[T], *, typed: bool = True) -> T:
        content_type = self.request.headers.get("Content-Type", "")
        if typed and data and self._content_type() != "application/json":
            raise InvalidQueryError(f"Content-Type specified ({content_type}) must be 'application/json'")
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise InvalidQueryError(f"invalid JSON: {error}") from None

    async def body(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            InvalidQueryError: It is longer than `limit` bytes.
            AnsweredError: It did not come in time.
        """
        data = bytearray()
        try:
            async with asyncio.timeout(DOCUMENT_SECONDS):
                async for chunk in self.request.content.iter_any():
                    data += chunk
                    if len(data) > limit:
                        raise InvalidQueryError(f"the body is longer than {limit} bytes")
        except TimeoutError:
            raise AnsweredError(408, f"the body did not come within {DOCUMENT_SECONDS:g} seconds") from None
        return bytes(data)
