"""Work that several threads want at the same moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from headway.store.database.batches import Batches
from tests.fakes.waiting import wait_until


def test_who_comes_while_a_batch_is_under_way_shares_the_next() -> None:
    done: list[list[int]] = []
    first_began, go = threading.Event(), threading.Event()

    def work(items: list[int]) -> None:
        first_began.set()
        go.wait(10)
        done.append(items)

    batches = Batches(work)
    with ThreadPoolExecutor(6) as pool:
        pool.submit(batches.do, 0)
        first_began.wait(10)
        others = [pool.submit(batches.do, number) for number in range(1, 6)]
        wait_until(lambda: len(batches._waiting) == len(others))
        go.set()

    assert [sorted(batch) for batch in done] == [[0], [1, 2, 3, 4, 5]]


def test_an_error_is_raised_for_its_batch_and_not_for_the_next() -> None:
    def work(items: list[str]) -> None:
        if "bad" in items:
            raise OSError("full")

    batches = Batches(work)

    with pytest.raises(OSError, match="full"):
        batches.do("bad")
    batches.do("good")
