"""Layers of one pull wait for each other before they are synced."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

from headway.service.transfers.sync_group import SyncGroup

LONG = 20.0


def test_the_last_layer_that_comes_waits_for_nobody() -> None:
    sync_group = SyncGroup()
    began = time.monotonic()

    with sync_group.coming() as only:
        only.wait(LONG)

    assert time.monotonic() - began < LONG / 2


def test_a_whole_layer_waits_until_the_others_are_whole_or_gone() -> None:
    sync_group, synced = SyncGroup(), threading.Event()
    with ExitStack() as stack:
        first, second, _ = [stack.enter_context(sync_group.coming()) for _ in range(3)]

        def sync() -> None:
            first.wait(LONG)
            synced.set()

        thread = threading.Thread(target=sync)
        thread.start()
        second.leave()
        second.leave()
        early = synced.wait(0.05)
    thread.join(LONG / 2)

    assert not early
    assert synced.is_set()


def test_a_whole_layer_waits_for_no_longer_than_its_bytes_may_be_unsynced() -> None:
    sync_group = SyncGroup()

    with sync_group.coming() as first, sync_group.coming():
        began = time.monotonic()
        first.wait(0.01)
        waited = time.monotonic() - began

    assert 0.01 <= waited < LONG / 2
