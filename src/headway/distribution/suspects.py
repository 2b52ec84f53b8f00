"""Which pieces of a blob with a wrong digest to fetch again first.

Rule: near the place where unpacking failed; then where connections met, since proxies and resumes go wrong there; then
from the failure backwards, since what is broken is noticed behind the damage and never before it; then the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from headway.distribution.ranges import Ranges

PIECE_BYTES = 256 * 1024
NEAR_BYTES = 1 << 20
EDGE_BYTES = 64 * 1024
MAX_EDGES = 16


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
