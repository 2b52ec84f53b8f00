"""What a pull over a bad link leaves: nothing that runs, however it ends."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.badlink.pulls import ends_in_time

# A command that starts another and waits for it, and says who both are.
PAIR = ["/bin/sh", "-c", 'sleep 60 & echo "$$ $!" > "$0.new" && mv "$0.new" "$0"; wait']


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pids: Path) -> bool:
    """Whether both are, or will be at once."""
    deadline = time.monotonic() + 5
    numbers = [int(each) for each in pids.read_text().split()]
    while any(map(is_running, numbers)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(map(is_running, numbers))


@contextmanager
def interrupted_once(pids: Path) -> Iterator[None]:
    """Press Ctrl-C when both run."""

    def press(_number: int, _frame: object) -> None:
        if pids.exists():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, press)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_pull_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    assert not ends_in_time([*PAIR, str(tmp_path / "pids")], 0.3, {})

    assert gone(tmp_path / "pids")


def test_a_benchmark_that_is_interrupted_leaves_no_pull_behind(tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    with pytest.raises(KeyboardInterrupt), interrupted_once(pids):
        ends_in_time([*PAIR, str(pids)], 60.0, {})

    assert gone(pids)


def test_a_pull_that_ends_by_itself_has_not_hung() -> None:
    assert ends_in_time(["true"], 60.0, os.environ)
