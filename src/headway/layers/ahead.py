"""The work before the unpacking, done beside it.

Rule 1: a few pieces ahead at the most: memory is bounded by `WAITING` pieces.
Rule 2: whoever leaves early does not wait: the thread ends by itself at its next piece, or when its source is stopped.
Rule 3: a small layer is worth no thread: each piece that is handed over costs two turns of the interpreter's lock.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import islice
from queue import SimpleQueue
from types import TracebackType
from typing import Self

WAITING = 4
ALONE = 16
"""How many pieces are made by who iterates, before a thread is started."""


class Ahead:
    """Runs an iterator in a thread of its own and gives what it gives, in order. A context manager.

    Expanding and hashing release the GIL for large pieces, so that the thread that unpacks goes on meanwhile.

    Args:
        pieces: Iterated in the thread, but for the first `ALONE`.
    """

    def __init__(self, pieces: Generator[bytes, None, None]) -> None:
        self._pieces = pieces
        self._queue: SimpleQueue[bytes | BaseException | None] = SimpleQueue()
        self._places = threading.Semaphore(WAITING)
        self._left = False
        self._is_alone = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
        if self._is_alone:
            self._pieces.close()
        self._places.release()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces; raise what the iterator raised."""
        alone = 0
        for piece in islice(self._pieces, ALONE):
            yield piece
            alone += 1
        if alone < ALONE:
            return
        self._is_alone = False
        threading.Thread(target=self._run, name="headway-ahead", daemon=True).start()
        yield from self._handed_over()

    def _handed_over(self) -> Iterator[bytes]:
        while (piece := self._queue.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
            self._places.release()

    def _run(self) -> None:
        try:
            with closing(self._pieces) as pieces:
                for piece in pieces:
                    self._places.acquire()
                    if self._left:
                        return
                    self._queue.put(piece)
            self._queue.put(None)
        except BaseException as error:  # it travels to whoever iterates
            self._queue.put(error)
