"""A dict of bounded size, for facts by host: a client that names ever new hosts must not fill the memory."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from contextlib import suppress
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MOST = 4096
"""How many keys are remembered."""


class Recent(dict[K, V], Generic[K, V]):
    """A dict that drops the keys that were set longest ago. Threads may set and read it at the same time.

    Args:
        known: Its first items.
        most: How many keys it holds at most.
    """

    def __init__(self, known: Mapping[K, V] | None = None, *, most: int = MOST) -> None:
        super().__init__()
        self._most = most
        for key, value in (known or {}).items():
            self[key] = value

    def __setitem__(self, key: K, value: V) -> None:
        if key in self:
            self.pop(key, None)  # it is the latest again
        super().__setitem__(key, value)
        while len(self) > self._most:
            with suppress(RuntimeError, StopIteration):  # another thread has changed it meanwhile
                self.pop(next(iter(self)), None)
