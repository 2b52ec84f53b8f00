"""Searches a registry's index for repositories (moby-behaviour 6.14).

Rule: filters are applied here, after the index has applied the limit, as docker does.
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
from headway.service.concurrency.executors import Executors
from headway.service.queries.filters import Filters, require_known, truth

KNOWN_FILTERS = frozenset({"is-automated", "is-official", "stars"})
DEFAULT_LIMIT = 25
MAX_LIMIT = 100
HUB_INDEX = "index.docker.io"
_STARS_DIGITS = 18  # more may not fit into Go's int64


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
    """Return the repositories that a registry's index finds, in its order.

    Args:
        index: Sends the search.
        executors: Threads for blocking work.
        term: Words to search for; ``host/words`` asks the index of that host, anything else Docker Hub's.
        limit: How many to return at most, 1 to 100; 0 for 25.
        filters: ``is-automated``, ``is-official``, ``stars`` (the largest of several).
        insecure: Hosts that may be asked without verified TLS.
        login: Credentials that came with the request; None for those of this machine.

    Raises:
        RequestError: The limit is out of range, or a filter or the term is not valid.
        RegistryError: The index cannot be asked, or answers something else.
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
    """Return the index that a term is for, and the words to search for.

    Raises:
        InvalidReferenceError: There are no words, or the term is a URL.
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
