"""Which pieces of a blob with a wrong digest to compare with what somebody sends, and which of them first.

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
    """What the sources of one blob have said of its bytes, and what is to be compared once its digest is wrong.

    Args:
        size: Size of the blob, in bytes.
        held: Bytes that an earlier attempt left; nobody knows who sent them.
        sources: How many there are.

    Attributes:
        have_begun: Whether the digest was wrong.
        check_bytes: How far to go on behind the first difference, in bytes.
    """

    def __init__(self, size: int, held: Ranges, sources: int) -> None:
        self.have_begun = False
        self.check_bytes = PIECE_BYTES
        self._size = size
        self._said = [Ranges() for _ in range(sources)]  # which bytes each has sent, to be held or compared
        self._edges = {offset for interval in held for offset in interval}
        self._pieces: list[tuple[int, int]] = []
        self._changed = False  # since the digest was last compared

    def said(self, fetch: Fetch, *, differs: bool) -> None:
        """Take note of what a request has brought, or compared."""
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
        """Return what a source has neither sent nor compared."""
        return list(self._said[source].gaps(self._size))

    def wrong(self, failed_at: int | None) -> None:
        """Take note of a wrong digest.

        Args:
            failed_at: How far the blob had been read when unpacking it failed; None where it did not. It counts the
                first time only.
        """
        if self.have_begun:
            self._changed = False
            self.check_bytes *= 2  # so that what is wrong everywhere is not hashed for each of its pieces
            return
        self.have_begun = True
        self._pieces = most_suspect_first(self._size, failed_at=failed_at, edges=self._edges - {0, self._size})

    def ask(self, source: int) -> None:
        """Compare what a source has not said yet, and nothing else."""
        self._pieces = self.unsaid_by(source)

    @property
    def are_over(self) -> bool:
        """Whether the digest is to be looked at again: something was mended, or all is compared."""
        return self._changed or not self._pieces

    def first(self, *, whole: bool) -> tuple[int, int]:
        """Return what to compare now; of a server that ignores ranges, everything in one piece."""
        if whole and len(self._pieces) > 1:
            self._pieces = [(0, self._size)]  # in front of each piece it would send all that lies before
        return self._pieces[0]


def most_suspect_first(size: int, *, failed_at: int | None, edges: Iterable[int]) -> list[tuple[int, int]]:
    """Return intervals that cover a blob without overlap, the most suspect first.

    Args:
        size: Size of the blob, in bytes.
        failed_at: How far it had been read when unpacking it failed; None where it did not.
        edges: Offsets at which one connection ended and another went on; too many of them say nothing.
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
