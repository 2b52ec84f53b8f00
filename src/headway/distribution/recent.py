"""What is remembered by host, of a bounded number of hosts: a client that names ever new ones fills no memory."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from contextlib import suppress
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MOST = 4096
"""How many keys are remembered."""


class Recent(dict[K, V], Generic[K, V]):
    """A dict that forgets what was set longest ago. Threads may set and read at once; each sees a value or none.

    Args:
        known: What it begins with.
        most: How many keys it holds.
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
