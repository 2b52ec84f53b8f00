"""Who may unpack, and when."""

from __future__ import annotations

import threading
import time
from itertools import count

import pytest

from headway.service.concurrency.unpack_places import (
    IDLE_SECONDS,
    IDLE_SECONDS_WIDE,
    LARGE,
    LARGE_AND_WIDE,
    PoliteSource,
    UnpackPlaces,
)
from tests.fakes.waiting import in_thread, wait_until


class Slow:
    """A follower whose next bytes come when the test says so."""

    position = 0
    is_stopped = False

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.asked = threading.Event()

    def ready(self) -> bool:
        return self.arrived.is_set()

    def read(self, limit: int) -> bytes:
        self.asked.set()
        self.arrived.wait(10)
        return b"x" * min(limit, 1)

    def stop(self) -> None:
        self.arrived.set()


def test_of_those_who_wait_the_largest_layer_comes_first() -> None:
    places = UnpackPlaces(1)
    order: list[int] = []

    def unpack(size: int) -> None:
        places.begin(size)
        order.append(size)
        places.end(size)

    places.begin(0)
    threads = [in_thread(unpack, size) for size in (5, 50, 20)]
    wait_until(lambda: places.waiting == 3)
    places.end(0)
    for thread in threads:
        thread.join(10)

    assert order == [50, 20, 5]


def test_whoever_waits_for_bytes_has_no_place() -> None:
    places, slow = UnpackPlaces(1), Slow()

    def unpack() -> None:
        with PoliteSource(slow, places, 100) as source:
            source.read(1)

    thread = in_thread(unpack)
    slow.asked.wait(10)
    places.begin(1)
    places.end(1)
    slow.arrived.set()
    thread.join(10)

    assert not thread.is_alive()


def test_whoever_has_bytes_keeps_its_place_unless_a_larger_layer_waits() -> None:
    places, fast = UnpackPlaces(1), Slow()
    fast.arrived.set()
    begun: list[int] = []

    def unpack(size: int) -> None:
        places.begin(size)
        begun.append(size)
        places.end(size)

    with PoliteSource(fast, places, 100) as source:
        in_thread(unpack, 100)
        wait_until(lambda: places.waiting == 1)
        for _ in range(100):
            source.read(1)
        assert begun == []

        in_thread(unpack, 101)
        wait_until(lambda: places.waiting == 2)
        source.read(1)
        assert begun[0] == 101
    wait_until(lambda: begun == [101, 100])


def test_a_place_that_is_given_back_wakes_one_thread_only(monkeypatch: pytest.MonkeyPatch) -> None:
    places, woken, notify = UnpackPlaces(1), 0, threading.Condition.notify

    def count(condition: threading.Condition, n: int = 1) -> None:
        nonlocal woken
        woken += n
        notify(condition, n)

    def unpack() -> None:
        places.begin(1)
        places.end(1)

    places.begin(0)
    threads = [in_thread(unpack) for _ in range(30)]
    wait_until(lambda: places.waiting == 30)
    monkeypatch.setattr(threading.Condition, "notify", count)

    places.end(0)
    for thread in threads:
        thread.join(10)

    assert woken == 30


def test_a_stopped_follower_gives_its_place_back() -> None:
    class Stopped(Slow):
        def read(self, limit: int) -> bytes:
            raise InterruptedError

    places = UnpackPlaces(1)
    with pytest.raises(InterruptedError), PoliteSource(Stopped(), places, 100) as source:
        source.read(1)

    places.begin(1)
    places.end(1)


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_no_large_layer_begins_while_one_that_has_begun_is_at_work() -> None:
    clock = Clock()
    places = UnpackPlaces(2, clock)
    begun: list[int] = []
    places.begin(5 * LARGE)

    def unpack(size: int) -> None:
        places.begin(size)
        begun.append(size)
        places.end(size)

    for size in (6 * LARGE, LARGE):
        in_thread(unpack, size)
    wait_until(lambda: places.waiting == 2)
    for _ in range(100):  # it works all the time, and waits for next to nothing
        places.leave()
        clock.now += IDLE_SECONDS / 200
        places.take(5 * LARGE)
        clock.now += 1
    assert begun == []

    for _ in range(101):
        places.leave()
        clock.now += IDLE_SECONDS / 200
        places.take(5 * LARGE)
    places.leave()  # and this is when another one looks
    wait_until(lambda: sorted(begun) == [LARGE, 6 * LARGE])


def test_a_small_layer_begins_beside_a_large_one_that_others_wait_for() -> None:
    places = UnpackPlaces(2)
    places.begin(2 * LARGE)
    in_thread(places.begin, 3 * LARGE)
    wait_until(lambda: places.waiting == 1)

    def unpack() -> None:
        places.begin(LARGE - 1)
        places.end(LARGE - 1)

    small = in_thread(unpack)
    small.join(10)

    assert not small.is_alive()
    assert places.waiting == 1
    places.end(2 * LARGE)
    wait_until(lambda: places.waiting == 0)


def test_whoever_has_begun_goes_on_before_a_larger_one_that_may_not_begin() -> None:
    places = UnpackPlaces(1)
    order: list[str] = []
    places.begin(2 * LARGE)

    def unpack() -> None:
        places.begin(3 * LARGE)
        order.append("new")
        places.end(3 * LARGE)

    new = in_thread(unpack)
    wait_until(lambda: places.waiting == 1)

    places.leave()
    places.take(2 * LARGE)
    order.append("begun")
    places.end(2 * LARGE)
    new.join(10)

    assert order == ["begun", "new"]


def test_a_large_layer_begins_though_time_passes_between_two_looks_at_the_clock() -> None:
    def beginning(leaps_at: int) -> threading.Thread:
        looks = count()

        def clock() -> float:
            """Leap over the moment from which on the layer may begin, at one of the looks."""
            return time.monotonic() + (2 * IDLE_SECONDS if next(looks) >= leaps_at else 0.0)

        places = UnpackPlaces(2, clock)
        places.begin(2 * LARGE)
        places.leave()  # it waits for bytes
        return in_thread(places.begin, LARGE)

    threads = [beginning(look) for look in range(10)]
    for thread in threads:
        thread.join(5)
    assert not [thread for thread in threads if thread.is_alive()]


@pytest.mark.parametrize(
    ("begun", "new"),
    [((LARGE, False), (LARGE_AND_WIDE, True)), ((LARGE_AND_WIDE, True), (LARGE, False))],
)
def test_a_large_layer_with_a_wide_window_is_the_only_large_one_while_it_has_work(
    begun: tuple[int, bool], new: tuple[int, bool]
) -> None:
    clock = Clock()
    places = UnpackPlaces(64, clock)
    places.begin(begun[0], is_wide=begun[1])
    thread = in_thread(lambda: places.begin(new[0], is_wide=new[1]))
    wait_until(lambda: places.waiting == 1)

    for _ in range(10):  # it works, and waits now and then
        places.leave()
        clock.now += IDLE_SECONDS_WIDE / 20
        places.take(begun[0])
        clock.now += 100
    assert places.waiting == 1

    places.leave()
    clock.now += IDLE_SECONDS_WIDE / 2
    places.begin(0)  # and this is when it looks
    thread.join(10)
    assert not thread.is_alive()


def test_of_several_that_wait_one_begins_at_a_time() -> None:
    clock = Clock()
    places = UnpackPlaces(64, clock)
    places.begin(LARGE_AND_WIDE, is_wide=True)
    for _ in range(2):
        in_thread(lambda: places.begin(LARGE_AND_WIDE, is_wide=True))
    wait_until(lambda: places.waiting == 2)

    places.leave()
    clock.now += IDLE_SECONDS_WIDE
    places.take(LARGE_AND_WIDE)
    wait_until(lambda: places.waiting == 1)
    time.sleep(0.05)

    assert places.waiting == 1


def test_of_two_large_layers_with_wide_windows_one_begins_when_the_other_has_ended() -> None:
    places = UnpackPlaces(64)
    places.begin(LARGE_AND_WIDE, is_wide=True)
    thread = in_thread(lambda: places.begin(LARGE_AND_WIDE, is_wide=True))
    wait_until(lambda: places.waiting == 1)
    places.begin(LARGE_AND_WIDE - 1, is_wide=True)  # a small one is as any other

    places.end(LARGE_AND_WIDE, is_wide=True)

    thread.join(10)
    assert not thread.is_alive()


def test_no_more_than_four_unpack_at_once_and_two_of_them_large_ones() -> None:
    places = UnpackPlaces(64)
    for _ in range(2):
        places.begin(LARGE)
        places.begin(1)
    threads = [in_thread(places.begin, size) for size in (1, LARGE)]
    wait_until(lambda: places.waiting == 2)

    places.end(1)
    threads[0].join(10)
    assert not threads[0].is_alive()
    assert places.waiting == 1


def test_where_all_wait_for_bytes_the_next_one_begins_by_itself() -> None:
    places, slow = UnpackPlaces(1), Slow()
    thread = in_thread(lambda: PoliteSource(slow, places, 2 * LARGE).__enter__().read(1))
    slow.asked.wait(10)

    began = time.monotonic()
    places.begin(LARGE)

    assert IDLE_SECONDS / 2 < time.monotonic() - began < 5
    places.end(LARGE)
    slow.arrived.set()
    thread.join(10)
