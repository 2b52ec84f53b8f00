"""Searches a registry's index, by the version 1 protocol that docker still uses for it (moby-behaviour 6.14)."""

from __future__ import annotations

import urllib.parse

import msgspec
from msgspec.structs import asdict

from headway.distribution.endpoints import Endpoint
from headway.errors import MisbehavedError
from headway.records import FoundRepository
from headway.registry.answers import decode_json
from headway.registry.request import Request, Sender

MAX_ANSWER_BYTES = 4 << 20


class _Found(msgspec.Struct):
    name: str = ""
    description: str | None = None
    star_count: int = 0
    is_official: bool = False
    is_automated: bool = False


class _Answer(msgspec.Struct):
    results: list[_Found] | None = None


class SearchClient:
    """Implements `interfaces.registries.SearchIndex` over HTTP.

    Args:
        sender: Whose connections, logins and memory of hosts are used.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def search(self, endpoint: Endpoint, term: str, limit: int) -> list[FoundRepository]:
        """See `interfaces.registries.SearchIndex.search`."""
        query = urllib.parse.urlencode({"q": term, "n": limit})
        with Request(
            self._sender, endpoint, "", "GET", f"/v1/search?{query}", {"Accept": "application/json"}
        ) as request:
            exchange = request.send()
            if exchange.status in (429, 403) or exchange.status >= 500:
                raise request.failure("index", endpoint.host)
            if exchange.status != 200:
                raise MisbehavedError(endpoint.host, f"Unexpected status code {exchange.status}")
            data = exchange.read_up_to(MAX_ANSWER_BYTES)
            try:
                found = decode_json(data, _Answer).results or []
            except ValueError:
                raise MisbehavedError(endpoint.host, "answers a search with something else") from None
        return [FoundRepository(**{**asdict(each), "description": each.description or ""}) for each in found]
