"""What is remembered of a layer until its end, by path, and the memory that this takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")
K = TypeVar("K")

UNIT = 512
"""Bytes of one unit of memory: about what a short path with little behind it takes up."""


def units(length: int) -> int:
    """Return how many units a path takes up that is `length` bytes long, with what is remembered of it."""
    return 1 + length // UNIT


class Remembered(dict[K, V], Generic[K, V]):
    """A dict that knows what it takes up.

    Args:
        length: Bytes of a key and its value.

    Attributes:
        units: What all of it takes up.
    """

    def __init__(self, length: Callable[[K, V], int]) -> None:
        super().__init__()
        self.units = 0
        self._length = length

    def __setitem__(self, key: K, value: V) -> None:
        self.drop(key)
        super().__setitem__(key, value)
        self.units += units(self._length(key, value))

    def drop(self, key: K) -> None:
        """Forget a key; there need be none."""
        if key in self:
            self.units -= units(self._length(key, super().pop(key)))
