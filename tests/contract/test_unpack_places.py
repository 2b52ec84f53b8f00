"""Who may unpack, and when."""

from __future__ import annotations

import threading
import time

from headway.service.unpack_places import PoliteSource, UnpackPlaces


class Slow:
    """A follower whose next bytes come when the test says so."""

    position = 0

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


def in_thread(work: object) -> threading.Thread:
    assert callable(work)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_of_those_who_wait_the_largest_layer_comes_first() -> None:
    places = UnpackPlaces(1)
    order: list[int] = []

    def unpack(size: int) -> None:
        places.take(size)
        order.append(size)
        places.leave()

    places.take(0)
    threads = [in_thread(lambda size=size: unpack(size)) for size in (5, 50, 20)]
    while len(places.waiting) < 3:
        time.sleep(0.001)
    places.leave()
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
    places.take(1)
    places.leave()
    slow.arrived.set()
    thread.join(10)

    assert not thread.is_alive()


def test_a_stopped_follower_gives_its_place_back() -> None:
    class Stopped(Slow):
        def read(self, limit: int) -> bytes:
            raise InterruptedError

    places = UnpackPlaces(1)
    try:
        with PoliteSource(Stopped(), places, 100) as source:
            source.read(1)
    except InterruptedError:
        pass

    places.take(1)
    places.leave()
