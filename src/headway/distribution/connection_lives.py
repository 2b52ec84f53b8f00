"""How many bytes a connection carries up before something on the way cuts it, by registry.

A registry that loses an upload with the connection that breaks in the middle of a piece (Docker's, version 2) makes
such a cut cost everything that the upload had sent. So connections are changed between two pieces, before they break.

Rule 1: the shortest life that was seen is remembered, and connections carry no more than that.
Rule 2: where no life was seen, one upload explores: it stays on its connection. The others go no further than some
        connection has gone, so that the first cut costs one upload and not all of them.
Rule 3: where a connection does not even bring one piece over, pieces become smaller.
Rule 4: what was seen a week ago is explored anew: links change.
Rule 5: where a piece was not answered in time, they become smaller as well: what takes all of it at once, such as a
        tunnel's near end, may have it for longer than anybody waits. A link that was silent for a while does the same,
        so they become larger again where they are answered so soon that twice as much would be in time, too.
Rule 6: where no life was seen and pieces go quickly, they grow, for each costs the registry a file that it opens and a
        hash that it puts away, 12 ms in all. A piece that is cut is still no more than an eighth of what went before.
Rule 7: a piece that is lost with a connection that had brought none says nothing by itself: some close each connection
        behind its answer, and do not say so. The next one goes over a new connection, and what becomes of it counts.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from headway.errors import Fault

PIECE_BYTES = 2 << 20
MIN_PIECE_BYTES = 64 << 10
MAX_PIECE_BYTES = 16 << 20
PIECE_SECONDS = 0.5  # no piece is made larger than what takes so long
ANSWERED_SECONDS = 5.0  # what takes no longer takes less than 15 where it is twice as large (`patience.BASE_SECONDS`)
PROVED_PIECES = 8  # as long as a connection has carried so many pieces of a size, it may carry one
UNPROVED_BYTES = 2 * PIECE_BYTES
FRESH_SECONDS = 7 * 86_400.0


class Life(msgspec.Struct, frozen=True):
    """What is known of the connections to one registry.

    Attributes:
        carried: Bytes of whole pieces that the connection with the shortest life had brought; 0 where none was cut
            behind its first piece.
        piece: How large a piece may be, in bytes.
        seen: When, seconds since the epoch.
    """

    carried: int
    piece: int
    seen: float


class ConnectionLives:
    """The memory of one process. Only the event loop that decides on uploads uses it.

    Args:
        known: What earlier processes have seen.
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
        """Return how large a piece may be, in bytes."""
        piece = self._lives[host].piece if host in self._lives else self._grown.get(host, PIECE_BYTES)
        return min(piece, self._most.get(host, MAX_PIECE_BYTES))

    def allowance(self, host: str, upload: object) -> int | None:
        """Return how many bytes a connection may carry for an upload; None lets it carry what it can.

        Args:
            host: ``host[:port]`` of the registry.
            upload: Whoever sends.
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
        """Report that an upload begins at its first byte: it explores, unless another one does."""
        self._explorers.setdefault(host, upload)

    def end(self, host: str, upload: object) -> None:
        """Report that an upload has ended, well or not."""
        self._cut_at_once.discard(upload)
        if self._explorers.get(host) is upload:
            del self._explorers[host]

    def brought(self, host: str, upload: object, carried: int, *, size: int, seconds: float) -> None:
        """Report that a connection has brought a piece over.

        Args:
            host: ``host[:port]`` of the registry.
            upload: Whose piece it was.
            carried: Bytes that the connection has carried by now, this piece included.
            size: Bytes of the piece.
            seconds: How long it took, with its answer.
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
        """Report that a piece was lost, or an upload's end.

        Args:
            host: ``host[:port]`` of the registry.
            upload: Whose it was.
            fault: What happened to the connection.
            carried: Bytes of whole pieces that it had brought over before.
            handed_over: How far the piece had gone, in bytes.
            size: Bytes of the piece; 0 where it was the end.
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
        if size > MIN_PIECE_BYTES:  # what is small says nothing of larger ones
            self._most[host] = max(MIN_PIECE_BYTES, min(self._most.get(host, MAX_PIECE_BYTES), size // 2))

    def take_new(self) -> dict[str, Life]:
        """Return what has changed since the last call, for whoever keeps it."""
        new, self._new = self._new, {}
        return new
