"""Runs pieces of blocking work in threads, a few at once, for a caller that is no coroutine.

Rule 1: the caller waits until all have ended, even after an error, so that it never cleans up while one still writes.
Rule 2: but Ctrl-C tells them to stop, and waits no longer than `GRACE_SECONDS`: what a thread reads from may never end,
        and the thread ends with the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

GRACE_SECONDS = 1.0


class ThreadGroup:
    """Threads that end with a ``with`` block.

    Args:
        most: How many may run at once.

    Attributes:
        stopped: Whether they should end soon, without a result.
    """

    def __init__(self, most: int) -> None:
        self.stopped = False
        self._most = most
        self._running = 0
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, Exception):
            self.stopped = True
            self._wait(0, GRACE_SECONDS)
            return
        self._wait(0)
        if error is None and self._error is not None:
            raise self._error

    def do(self, work: Callable[[], object]) -> None:
        """Start a piece of work, and return once another could be started: with `most` 1, when this one has ended.

        Raises:
            BaseException: An earlier piece raised it.
        """
        thread = threading.Thread(target=self._run, args=(work,), name="unpack", daemon=True)
        with self._changed:
            thread.start()
            self._running += 1  # not before: the machine may give no more threads, and nobody waits for the end of none
        self._wait(self._most - 1)
        if self._error is not None:
            raise self._error

    def _wait(self, running: int, seconds: float | None = None) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._running <= running, seconds)

    def _run(self, work: Callable[[], object]) -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as raised:  # it travels to whoever waits
            error = raised
        with self._changed:
            self._running -= 1
            self._error = self._error or error
            self._changed.notify_all()
