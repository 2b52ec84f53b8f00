"""Searching for images (moby-behaviour 6.14).

Rule: filters are applied here, behind the index's limit, as docker applies them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from headway.distribution.credentials import Credentials
from headway.distribution.endpoints import Endpoint, InsecureRegistries
from headway.errors import InvalidFilterError, InvalidReferenceError, RequestError
from headway.interfaces.registries import SearchIndex
from headway.oci.reference import DOCKER_HUB
from headway.records import FoundRepository
from headway.service.executors import Executors
from headway.service.filters import Filters, require_known, truth

KNOWN_FILTERS = frozenset({"is-automated", "is-official", "stars"})
DEFAULT_LIMIT = 25
MAX_LIMIT = 100
HUB_INDEX = "index.docker.io"
_STARS_DIGITS = 18  # of a number that Go reads


async def search(
    index: SearchIndex,
    executors: Executors,
    term: str,
    *,
    limit: int = 0,
    filters: Filters,
    insecure: InsecureRegistries,
    login: Credentials | None = None,
) -> list[FoundRepository]:
    """Return what a registry's index finds, in its order.

    Args:
        index: Asks one.
        executors: Where it may be waited for.
        term: Words; ``host/words`` asks that host, anything else Docker Hub.
        limit: How many at most, 1 to 100; 0 for 25.
        filters: ``is-automated``, ``is-official``, ``stars`` (the largest counts).
        insecure: Hosts that may be asked without verified TLS.
        login: Who asks, where that came with the request; None for what this machine knows.

    Raises:
        RequestError: A limit out of range, a filter that is none, a term that is none.
        RegistryError: The index does not answer as one.
    """
    require_known(filters, KNOWN_FILTERS)
    automated, official = truth(filters, "is-automated"), truth(filters, "is-official")
    stars = _stars(filters.get("stars", ()))
    endpoint, words = search_endpoint(term, insecure)
    endpoint = msgspec.structs.replace(endpoint, login=login)
    limit = limit or DEFAULT_LIMIT
    if not 1 <= limit <= MAX_LIMIT:
        raise RequestError(f"Limit {limit} is outside the range of [1, {MAX_LIMIT}]")
    found = await executors.abandonable(partial(index.search, endpoint, words, limit))
    return [
        each
        for each in found
        if automated in (None, each.is_automated) and official in (None, each.is_official) and each.star_count >= stars
    ]


def search_endpoint(term: str, insecure: InsecureRegistries) -> tuple[Endpoint, str]:
    """Return which index a term is for, and the words to give it.

    Raises:
        InvalidReferenceError: There are none.
    """
    first, slash, rest = term.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = DOCKER_HUB, term
    if not rest.strip() or "://" in term:
        raise InvalidReferenceError(f"invalid search term {term!r}")
    if first in (DOCKER_HUB, HUB_INDEX):
        return Endpoint(HUB_INDEX), rest.removeprefix("library/")
    return Endpoint(first, secure=first not in insecure), rest


def _stars(values: Sequence[str]) -> int:
    for value in values:
        if not value.isascii() or not value.isdecimal() or len(value) > _STARS_DIGITS:
            raise InvalidFilterError("stars", (value,))
    return max(map(int, values), default=0)
