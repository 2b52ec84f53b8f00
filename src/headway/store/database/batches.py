"""Work that several threads ask for at the same moment, done by one of them for all: one commit, one sync."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Batches(Generic[T]):
    """Does work on items in batches; who comes while one is under way is in the next.

    Args:
        work: Called with the items of a batch, in order of arrival; one call at a time.
    """

    def __init__(self, work: Callable[[list[T]], None]) -> None:
        self._work = work
        self._turn = threading.Lock()
        self._changing = threading.Lock()
        self._waiting: list[_Wish[T]] = []

    def do(self, item: T) -> None:
        """Return when the work on `item` is done; raise what it raised for the batch that held it."""
        wish = _Wish(item)
        with self._changing:
            self._waiting.append(wish)
        with self._turn:
            if not wish.is_done:
                self._do_all()
        if wish.error is not None:
            raise wish.error

    def _do_all(self) -> None:
        with self._changing:
            batch, self._waiting = self._waiting, []
        error: BaseException | None = None
        try:
            self._work([wish.item for wish in batch])
        except BaseException as raised:  # it is raised for each of them
            error = raised
        for wish in batch:
            wish.error, wish.is_done = error, True


class _Wish(Generic[T]):
    """One item.

    Attributes:
        is_done: Whether its batch is done.
        error: What that raised.
    """

    def __init__(self, item: T) -> None:
        self.item = item
        self.is_done = False
        self.error: BaseException | None = None
