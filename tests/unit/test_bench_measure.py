"""What benchmarks count as a program's memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bench.measure import resident_bytes
from tests.prove.peaks import family

# What is started waits for its input to be opened, in the memory of the one that starts it.
STARTS = """\
import os, sys
os.posix_spawn("/bin/true", ["true"], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, sys.argv[1], os.O_RDONLY, 0)])
os.wait()
"""


def test_a_process_that_is_just_being_started_has_no_memory_of_its_own(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    starter = subprocess.Popen([sys.executable, "-c", STARTS, fifo])
    try:
        deadline = time.monotonic() + 10
        while len(both := list(family(str(starter.pid)))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)

        assert resident_bytes(both) == resident_bytes(both[:1]) > 0
    finally:
        fifo.open("wb", buffering=0).close()
        starter.wait(10)


def test_two_processes_of_a_program_count_their_memory_twice_and_its_files_once() -> None:
    sleepers = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) for _ in range(2)]
    try:
        time.sleep(1)
        first, both = (resident_bytes([str(each.pid) for each in sleepers[:count]]) for count in (1, 2))
    finally:
        for each in sleepers:
            each.kill()
            each.wait()

    assert first < both < 2 * first
