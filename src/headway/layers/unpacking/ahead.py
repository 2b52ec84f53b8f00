"""Runs the work before unpacking beside it: one thread decompresses, another one hashes the tar.

Rule 1: a thread is at most `WAITING` pieces ahead, which bounds memory.
Rule 2: leaving early does not wait: a thread ends by itself at its next piece, or when its source is stopped.
Rule 3: a small layer is not worth a thread: each piece that is handed over costs two turns of the interpreter's lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from queue import SimpleQueue
from typing import Self

WAITING = 4


@contextmanager
def tapped(
    pieces: Generator[bytes, None, None], tap: Callable[[bytes], None], *, beside: bool
) -> Iterator[Iterator[bytes]]:
    """Give an iterator over `pieces` that passes each to `tap` before it yields it.

    With threads, making a piece, tapping it and using it overlap, for both release the GIL for large pieces.

    Args:
        pieces: Closed at the end.
        tap: Called in one thread, in order; it has seen every piece when the iterator ends.
        beside: Whether `pieces` and `tap` have a thread each, or are run by whoever iterates.
    """
    if not beside:
        with closing(pieces), closing(_tapped(pieces, tap)) as here:
            yield here
        return
    with Ahead(pieces) as made, Ahead(_tapped(made, tap)) as seen:
        yield iter(seen)


def _tapped(pieces: Generator[bytes, None, None] | Ahead, tap: Callable[[bytes], None]) -> Generator[bytes, None, None]:
    for piece in pieces:
        tap(piece)
        yield piece


class Ahead:
    """Runs an iterator in a thread of its own and gives what it gives, in order. A context manager.

    Args:
        pieces: Iterated and closed in the thread.
    """

    def __init__(self, pieces: Generator[bytes, None, None]) -> None:
        self._pieces = pieces
        self._queue: SimpleQueue[bytes | BaseException | None] = SimpleQueue()
        self._places = threading.Semaphore(WAITING)
        self._left = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, name="headway-ahead", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left = True
        self._places.release()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces; raise what the iterator raised."""
        while (piece := self._queue.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
            self._places.release()

    def _run(self) -> None:
        end = None
        try:
            with closing(self._pieces) as pieces:
                for piece in pieces:
                    self._places.acquire()
                    if self._left:
                        break
                    self._queue.put(piece)
        except BaseException as error:  # it travels to whoever iterates
            end = error
        self._queue.put(end)  # also for those who have left: another thread may still be iterating
