"""Pieces of work in threads: some at once, one error told, and nobody left behind but by Ctrl-C."""

from __future__ import annotations

import threading
import time

import pytest

from headway.errors import StoreError
from headway.service.concurrency.thread_group import ThreadGroup


def test_as_many_run_as_there_are_places() -> None:
    together = threading.Barrier(2, timeout=20)

    with ThreadGroup(2) as threads:
        threads.do(together.wait)
        threads.do(together.wait)


def test_with_one_place_work_has_ended_when_it_was_started() -> None:
    done: list[int] = []

    with ThreadGroup(1) as threads:
        for number in range(3):
            threads.do(lambda number=number: done.append(number))  # type: ignore[misc]  # mypy takes no default here
            assert done == list(range(number + 1))


def test_an_error_is_raised_once_all_have_ended() -> None:
    may_end, ended = threading.Event(), threading.Event()

    def slow() -> None:
        may_end.wait(20)
        ended.set()

    def failing() -> None:
        may_end.set()
        raise StoreError("the disk failed")

    def both() -> None:
        with ThreadGroup(3) as threads:
            threads.do(slow)
            threads.do(failing)

    with pytest.raises(StoreError, match="the disk failed"):
        both()
    assert ended.is_set()


def test_an_error_of_the_block_waits_for_what_runs() -> None:
    may_end, ended = threading.Event(), threading.Event()

    def slow() -> None:
        may_end.wait(0.2)
        ended.set()

    def broken() -> None:
        with ThreadGroup(2) as threads:
            threads.do(slow)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        broken()
    assert ended.is_set()


def test_ctrl_c_tells_them_to_stop_and_waits_for_nobody_who_does_not() -> None:
    never, stopped = threading.Event(), threading.Event()

    def obedient(threads: ThreadGroup) -> None:
        while not threads.stopped:
            time.sleep(0.01)
        stopped.set()

    def interrupted() -> None:
        with ThreadGroup(3) as threads:
            threads.do(never.wait)
            threads.do(lambda: obedient(threads))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stopped.is_set()
    never.set()


def test_a_thread_that_the_machine_does_not_give_is_not_waited_for() -> None:
    ended: list[int] = []

    def short_of_threads() -> None:
        with ThreadGroup(2) as threads:
            threads.do(lambda: ended.append(1))
            size = threading.stack_size(1 << 46)  # more than there are addresses
            try:
                threads.do(lambda: ended.append(2))
            finally:
                threading.stack_size(size)

    with pytest.raises(RuntimeError, match="can't start new thread"):
        short_of_threads()
    assert ended == [1]
