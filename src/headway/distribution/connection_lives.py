"""Decides how many bytes of an upload one connection may carry, by how long connections to a registry have lived.

Some links cut every connection after some bytes. Some registries (Docker's, version 2) lose the whole upload when its
connection breaks in the middle of a piece. So an upload changes its connection between two pieces, before it breaks.

Rule 1: the shortest life that was seen is remembered, and a connection carries no more than that.
Rule 2: while no cut has been seen, one upload explores, and stays on its connection. The other uploads let theirs carry
        no more than some connection has carried already, so that the first cut costs one upload and not all of them.
Rule 3: if a connection is cut before it has carried even one piece, pieces become smaller.
Rule 4: what was seen more than a week ago is forgotten, for links change.
Rule 5: if a piece is not answered in time, pieces become smaller as well: something on the way, such as the near end of
        a tunnel, may buffer a whole piece for longer than the answer may take. A link that was silent for a while looks
        the same, so pieces become larger again once they are answered so soon that twice the size would be in time.
Rule 6: while no cut has been seen and pieces go quickly, they grow, for each one costs the registry 12 ms (it opens a
        file and saves a hash), but to no more than an eighth of what a connection has carried before.
Rule 7: a piece that is lost with a connection that had carried none proves nothing, as some servers close a connection
        after each answer without saying so. The next piece goes over a new connection, and its fate counts.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from headway.errors import Fault

PIECE_BYTES = 2 << 20
MIN_PIECE_BYTES = 64 << 10
MAX_PIECE_BYTES = 16 << 20
PIECE_SECONDS = 0.5  # pieces do not grow beyond the size that takes this long
ANSWERED_SECONDS = 5.0  # after a piece that took no longer, one of twice its size is in time (`patience`)
PROVED_PIECES = 8  # how many times the size of a piece a connection must have carried before
UNPROVED_BYTES = 2 * PIECE_BYTES
FRESH_SECONDS = 7 * 86_400.0


class Life(msgspec.Struct, frozen=True):
    """What is known of the connections to one registry.

    Attributes:
        carried: Bytes of whole pieces that the connection with the shortest life had carried; 0 if none was cut after
            its first piece.
        piece: Largest size of a piece, in bytes.
        seen: When this was seen, seconds since the epoch.
    """

    carried: int
    piece: int
    seen: float


class ConnectionLives:
    """The lives that one process knows. Only the event loop that decides on uploads uses it.

    Args:
        known: Lives that earlier processes have seen.
        now: Seconds since the epoch.
    """

    def __init__(self, known: Mapping[str, Life] | None = None, *, now: float = 0.0) -> None:
        self._lives = {host: life for host, life in (known or {}).items() if 0 <= now - life.seen < FRESH_SECONDS}
        self._proved: dict[str, int] = {}
        self._grown: dict[str, int] = {}
        self._most: dict[str, int] = {}
        self._explorers: dict[str, object] = {}
        self._cut_at_once: set[object] = set()  # uploads whose last piece was lost so (rule 7)
        self._new: dict[str, Life] = {}

    def piece(self, host: str) -> int:
        """Return the largest size of a piece, in bytes."""
        piece = self._lives[host].piece if host in self._lives else self._grown.get(host, PIECE_BYTES)
        return min(piece, self._most.get(host, MAX_PIECE_BYTES))

    def allowance(self, host: str, upload: object) -> int | None:
        """Return how many bytes a connection may carry for an upload; None for any number.

        Args:
            host: ``host[:port]`` of the registry.
            upload: Identifies the upload.
        """
        if upload in self._cut_at_once:
            return 0
        life = self._lives.get(host)
        if life is not None and life.carried:
            return life.carried
        if self._explorers.get(host) is upload:
            return None
        return max(UNPROVED_BYTES, self._proved.get(host, 0))

    def begin(self, host: str, upload: object) -> None:
        """Report that an upload begins at its first byte; it explores, unless another one does."""
        self._explorers.setdefault(host, upload)

    def end(self, host: str, upload: object) -> None:
        """Report that an upload has ended, successfully or not."""
        self._cut_at_once.discard(upload)
        if self._explorers.get(host) is upload:
            del self._explorers[host]

    def brought(self, host: str, upload: object, carried: int, *, size: int, seconds: float) -> None:
        """Report that a connection has transferred a piece.

        Args:
            host: ``host[:port]`` of the registry.
            upload: The upload that it belongs to.
            carried: Bytes that the connection has carried so far, this piece included.
            size: Size of the piece, in bytes.
            seconds: How long it took, including its answer.
        """
        self._cut_at_once.discard(upload)
        proved = self._proved[host] = max(carried, self._proved.get(host, 0))
        quick = int(size / max(seconds, 0.001) * PIECE_SECONDS)
        self._grown[host] = max(PIECE_BYTES, min(proved // PROVED_PIECES, quick, MAX_PIECE_BYTES))
        most = self._most.get(host, MAX_PIECE_BYTES)
        if size >= most and seconds <= ANSWERED_SECONDS:
            self._most[host] = min(2 * most, MAX_PIECE_BYTES)

    def lost(
        self, host: str, upload: object, fault: Fault, *, carried: int, handed_over: int, size: int, now: float
    ) -> None:
        """Report that a piece, or the request that ends an upload, was lost.

        Args:
            host: ``host[:port]`` of the registry.
            upload: The upload that it belongs to.
            fault: What happened to the connection.
            carried: Bytes of whole pieces that the connection had carried before.
            handed_over: Bytes of the piece that were handed to the kernel.
            size: Size of the piece, in bytes; 0 for the end of an upload.
            now: Seconds since the epoch.
        """
        is_again = upload in self._cut_at_once
        self._cut_at_once.discard(upload)
        if fault is Fault.CUT and not carried:
            self._cut_at_once.add(upload)
        if fault is Fault.CUT and handed_over and (carried or is_again):
            self._cut(host, carried, now=now)
        elif fault is Fault.TIMEOUT and handed_over == size:
            self._unanswered(host, size)

    def _cut(self, host: str, carried: int, *, now: float) -> None:
        before = self._lives.get(host, Life(0, PIECE_BYTES, now))
        if carried:
            life = Life(min(carried, before.carried or carried), before.piece, now)
        else:
            life = Life(before.carried, max(MIN_PIECE_BYTES, before.piece // 2), now)
        self._lives[host] = self._new[host] = life

    def _unanswered(self, host: str, size: int) -> None:
        if size > MIN_PIECE_BYTES:  # smaller pieces are no evidence
            self._most[host] = max(MIN_PIECE_BYTES, min(self._most.get(host, MAX_PIECE_BYTES), size // 2))

    def take_new(self) -> dict[str, Life]:
        """Return the lives that have changed since the last call, to be stored."""
        new, self._new = self._new, {}
        return new
