"""Decides which pieces of a blob with a wrong digest to fetch again and compare, the most suspect first.

Rule: near the place where unpacking failed; then where connections met, since proxies and resumes go wrong there; then
from the failure backwards, since what is broken is noticed behind the damage and never before it; then the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headway.distribution.ranges import Ranges
from headway.distribution.spread import Fetch

PIECE_BYTES = 256 * 1024
NEAR_BYTES = 1 << 20
EDGE_BYTES = 64 * 1024
MAX_EDGES = 16


class Doubts:
    """Which bytes each source of one blob has sent, and which to compare once the digest turned out wrong.

    Args:
        size: Size of the blob, in bytes.
        held: Bytes that an earlier attempt left, of which the source is not known.
        sources: How many sources there are.

    Attributes:
        have_begun: Whether the digest was wrong.
        check_bytes: How many bytes to go on behind the first difference.
    """

    def __init__(self, size: int, held: Ranges, sources: int) -> None:
        self.have_begun = False
        self.check_bytes = PIECE_BYTES
        self._size = size
        self._said = [Ranges() for _ in range(sources)]  # bytes that each source has sent, to be written or compared
        self._edges = {offset for interval in held for offset in interval}
        self._pieces: list[tuple[int, int]] = []
        self._changed = False  # whether bytes were replaced since the digest was last compared

    def said(self, fetch: Fetch, *, differs: bool) -> None:
        """Note the bytes that a request has fetched or compared."""
        self._edges |= {fetch.offset, fetch.position}
        self._said[fetch.source].add(fetch.offset, fetch.position)
        if not self._pieces:
            return
        self._changed |= differs
        start, end = self._pieces[0]
        if fetch.position >= end:
            del self._pieces[0]
        else:
            self._pieces[0] = (max(start, fetch.position), end)

    def unsaid_by(self, source: int) -> list[tuple[int, int]]:
        """Return the intervals that a source has neither sent nor compared."""
        return list(self._said[source].gaps(self._size))

    def wrong(self, failed_at: int | None) -> None:
        """Note that the digest is wrong.

        Args:
            failed_at: Offset in the blob at which unpacking it failed; None if it did not. Used the first time only.
        """
        if self.have_begun:
            self._changed = False
            self.check_bytes *= 2  # so that a blob that is wrong everywhere is not hashed again for each piece
            return
        self.have_begun = True
        self._pieces = most_suspect_first(self._size, failed_at=failed_at, edges=self._edges - {0, self._size})

    def ask(self, source: int) -> None:
        """Compare only what a source has not sent or compared yet."""
        self._pieces = self.unsaid_by(source)

    @property
    def are_over(self) -> bool:
        """Whether to verify the digest again, since bytes were replaced, or everything has been compared."""
        return self._changed or not self._pieces

    def first(self, *, whole: bool) -> tuple[int, int]:
        """Return the interval to compare now; with `whole`, for a server that ignores ranges, the whole blob."""
        if whole and len(self._pieces) > 1:
            self._pieces = [(0, self._size)]  # for each piece it would send the blob from its beginning
        return self._pieces[0]


def most_suspect_first(size: int, *, failed_at: int | None, edges: Iterable[int]) -> list[tuple[int, int]]:
    """Return intervals that cover a blob without overlap, the most suspect first.

    Args:
        size: Size of the blob, in bytes.
        failed_at: Offset at which unpacking it failed; None if it did not.
        edges: Offsets at which one connection ended and another one went on; too many of them are no evidence.
    """
    order: list[tuple[int, int]] = []
    rest = Ranges()
    for start, end in _wishes(size, failed_at, sorted(set(edges))):
        for gap in list(rest.gaps_between(max(0, start), min(size, end))):
            rest.add(*gap)
            if order and order[-1][1] == gap[0]:
                order[-1] = (order[-1][0], gap[1])  # one request instead of two
            else:
                order.append(gap)
    return order


def _wishes(size: int, failed_at: int | None, edges: list[int]) -> Iterator[tuple[int, int]]:
    if failed_at is not None:
        yield failed_at - NEAR_BYTES, failed_at
    for edge in edges if len(edges) <= MAX_EDGES else ():
        yield edge - EDGE_BYTES, edge + EDGE_BYTES
    if failed_at is not None:
        reach = 2 * NEAR_BYTES
        while reach // 2 < failed_at:
            yield failed_at - reach, failed_at
            reach *= 2
    yield 0, size
