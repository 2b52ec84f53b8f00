"""What to do with a body that begins before what was asked for: some servers ignore ranges and begin at 0."""

from __future__ import annotations

from headway.distribution.spread import Fetch
from headway.errors import MisbehavedError


def check_skip(fetch: Fetch, body_start: int, endpoint: str) -> int:
    """Return how many bytes of a body to skip before the first one that is wanted.

    A server that ignores ranges starts at 0. Its answer is used as long as all that was sent twice stays below the
    size of the blob, so that the whole costs at most twice its bytes.

    Raises:
        RangeIgnoredError: Skipping would cost more than that.
    """
    skip = fetch.offset - body_start
    if skip > fetch.skip_limit:
        raise RangeIgnoredError(endpoint)
    return skip


class RangeIgnoredError(MisbehavedError):
    """The server ignores ranges, and going on would send everything more than twice."""

    retryable = False

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint, "ignores Range requests: each cut would send the whole layer again")


class RangeRefusedError(MisbehavedError):
    """The server answers a range with another one, or with none at all; it may serve the whole all the same."""
