"""Memory for looking back: who has it, who waits for it, and who never gets it."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from headway.composition.windows import shared_windows
from headway.errors import WindowTooLargeError
from headway.layers.compression.windows import FREE, Windows, default_limit
from headway.layers.unpacking.workers import Workers
from headway.service.concurrency.unpack_places import PoliteSource, UnpackPlaces
from tests.contract.test_unpack_places import Slow
from tests.fakes.tars import Source, file, tar
from tests.fakes.waiting import in_thread, wait_until

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

HALF, MOST = 32 << 20, 64 << 20


def zstd_layer(window_log: int) -> bytes:
    encoder = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window_log})
    return encoder.compress(tar(file("f", b"x"))) + encoder.flush()


def test_usual_windows_wait_for_nobody() -> None:
    windows = Windows(0)

    with windows.share(Source(b"")) as one, windows.share(Source(b"")) as other:
        one(FREE)
        other(FREE)


def test_larger_ones_share_the_limit_and_the_first_one_comes_first() -> None:
    windows, order = Windows(MOST), list[str]()
    release = threading.Event()

    def layer(name: str, window: int, then: Callable[[], object] = lambda: None) -> None:
        with windows.share(Source(b"")) as reserve:
            reserve(window)
            order.append(name)
            then()

    threads = [in_thread(lambda: layer("first", HALF, lambda: release.wait(10)))]
    wait_until(lambda: order == ["first"])
    threads.append(in_thread(lambda: layer("whole", MOST)))
    wait_until(lambda: windows.waiting == 1)
    threads.append(in_thread(lambda: layer("half", HALF)))  # it would fit, and does not push ahead
    wait_until(lambda: windows.waiting == 2)

    release.set()
    for thread in threads:
        thread.join(10)

    assert order == ["first", "whole", "half"]


def test_a_larger_window_of_the_same_stream_takes_the_place_of_the_one_before() -> None:
    windows = Windows(MOST)

    with windows.share(Source(b"")) as reserve:
        for window in (HALF, MOST, 0, MOST):
            reserve(window)
    with windows.share(Source(b"")) as reserve:
        reserve(MOST)


def test_who_needs_more_than_all_of_it_is_refused_by_name_and_disturbs_nobody() -> None:
    windows = Windows(HALF)

    with (
        windows.share(Source(b"")) as reserve,
        pytest.raises(WindowTooLargeError, match="window of 64 MiB to unpack; max-unpack-memory allows 32 MiB here"),
    ):
        reserve(MOST)
    with windows.share(Source(b"")) as reserve:
        reserve(HALF)


def test_what_a_left_thread_reserves_is_not_kept() -> None:
    windows = Windows(MOST)

    with windows.share(Source(b"")) as left:
        left(HALF)
    with pytest.raises(InterruptedError):
        left(HALF)
    with windows.share(Source(b"")) as reserve:
        reserve(MOST)


def test_what_was_waited_for_when_the_layer_ended_is_given_back() -> None:
    windows = Windows(MOST)
    failed = threading.Event()

    def late(reserve: Callable[[int], None]) -> None:
        with pytest.raises(InterruptedError):
            reserve(MOST)
        failed.set()

    with windows.share(Source(b"")) as first:
        first(MOST)
        with windows.share(Source(b"")) as second:
            in_thread(lambda: late(second))
            wait_until(lambda: windows.waiting == 1)
    assert failed.wait(10)
    with windows.share(Source(b"")) as reserve:
        reserve(MOST)


def test_an_ended_layer_leaves_the_line() -> None:
    windows = Windows(MOST)

    def late(reserve: Callable[[int], None]) -> None:
        with suppress(InterruptedError):
            reserve(MOST)

    with windows.share(Source(b"")) as first:
        first(HALF)
        with windows.share(Source(b"")) as dead:
            in_thread(lambda: late(dead))
            wait_until(lambda: windows.waiting == 1)
        with windows.share(Source(b"")) as small:
            waiting = in_thread(lambda: small(HALF))
            waiting.join(10)  # though the first one has not ended
            assert not waiting.is_alive()


def test_who_waits_for_memory_has_no_place_and_takes_one_again() -> None:
    windows, places = Windows(MOST), UnpackPlaces(1)
    reserved = threading.Event()

    def layer() -> None:
        with PoliteSource(Slow(), places, 100) as source, windows.share(source) as reserve:
            reserve(MOST)
            reserved.set()

    with windows.share(Source(b"")) as first:
        first(MOST)
        thread = in_thread(layer)
        wait_until(lambda: windows.waiting == 1)
        places.begin(1)  # whoever has the memory can go on
        places.end(1)
        assert not reserved.is_set()
    thread.join(10)

    assert reserved.is_set()
    places.begin(1)
    places.end(1)


def test_a_stopped_layer_waits_no_longer() -> None:
    windows, places = Windows(MOST), UnpackPlaces(1)
    stopped = threading.Event()
    slow = Slow()

    def layer() -> None:
        with (
            PoliteSource(slow, places, 100) as source,
            windows.share(source) as reserve,
            pytest.raises(InterruptedError),
        ):
            reserve(MOST)
        stopped.set()

    with windows.share(Source(b"")) as first:
        first(MOST)
        in_thread(layer)
        wait_until(lambda: windows.waiting == 1)
        slow.is_stopped = True
        assert stopped.wait(10)
        assert windows.waiting == 0


def test_what_is_needed_is_never_less_than_what_is_said() -> None:
    windows = Windows(MOST)

    with windows.share(Source(b"")) as reserve, pytest.raises(WindowTooLargeError, match=r"of 65 MiB .* allows 64 MiB"):
        reserve(MOST + 1)


def test_all_threads_of_a_process_share_one_limit() -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(shared_windows, [1 << 20] * 64))

    assert len({id(each) for each in found}) == 1
    assert shared_windows(None) is not found[0]
    assert 0 < default_limit() <= 128 << 20


def test_layers_of_one_process_wait_for_each_other(tmp_path: Path) -> None:
    windows = Windows(MOST)
    workers = Workers(is_worth_it=False, records=False, windows=windows)
    blob = zstd_layer(26)
    found = list[object]()

    def layer() -> None:
        found.append(workers(Source(blob), tmp_path, lambda _: None)[0])

    with windows.share(Source(b"")) as other:
        other(HALF)
        thread = in_thread(layer)
        wait_until(lambda: windows.waiting == 1)
        assert not found
    thread.join(10)

    assert found == [f"sha256:{hashlib.sha256(tar(file('f', b'x'))).hexdigest()}"]


def test_a_layer_that_may_not_look_back_so_far_leaves_nothing(tmp_path: Path) -> None:
    workers = Workers(is_worth_it=False, records=False, windows=Windows(HALF))

    with ThreadPoolExecutor() as threads, pytest.raises(WindowTooLargeError):
        threads.submit(workers, Source(zstd_layer(26)), tmp_path, lambda _: None).result()

    assert not list(tmp_path.iterdir())
