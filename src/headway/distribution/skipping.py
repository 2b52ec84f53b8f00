"""Decides whether to use a body that begins before the requested range, as some servers ignore ranges."""

from __future__ import annotations

from headway.distribution.spread import Fetch
from headway.errors import MisbehavedError


def check_skip(fetch: Fetch, body_start: int, endpoint: str) -> int:
    """Return how many bytes of a body to skip before the requested range.

    A server that ignores ranges starts at 0. Its answers are used while the bytes skipped in all are fewer than the
    blob has, so that the blob costs at most twice its size.

    Raises:
        RangeIgnoredError: Skipping would cost more.
    """
    skip = fetch.offset - body_start
    if skip > fetch.skip_limit:
        raise RangeIgnoredError(endpoint)
    return skip


class RangeIgnoredError(MisbehavedError):
    """The server ignores ranges, and to go on would cost more than twice the size of the blob."""

    retryable = False

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, "ignores Range requests: each cut would send the whole layer again")


class RangeRefusedError(MisbehavedError):
    """The server answers a range with another one, or refuses it; it may still serve the whole blob."""
