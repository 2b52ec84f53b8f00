"""Waiting in a test for what happens elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for something to be so: long enough for a busy machine, and less than faulthandler waits.

    Raises:
        TimeoutError: It was not so in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("what is waited for does not happen")
        time.sleep(0.002)


def in_thread(work: Callable[..., object], *arguments: object) -> threading.Thread:
    """Begin some work in a thread that nobody has to wait for."""
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread
