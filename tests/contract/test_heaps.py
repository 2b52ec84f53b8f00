"""How many heaps the threads of a process have, as malloc itself tells (malloc_info(3))."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PROGRAM = """\
import ctypes, sys, threading
from headway.layers.unpacking.heaps import share_heaps

if sys.argv[1] == "shared":
    share_heaps()
meeting = threading.Barrier(8)


def work():
    held = [bytes(1000) for _ in range(1000)]  # too large for Python's own allocator
    meeting.wait()
    return held


threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
c = ctypes.CDLL(None)
c.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(c.fopen(sys.argv[2].encode(), b"w"))
c.malloc_info(0, file)
c.fclose(file)
"""


def heaps(place: Path, how: str) -> int:
    """Return how many heaps eight threads have allocated from that were alive together."""
    subprocess.run([sys.executable, "-c", _PROGRAM, how, place / how], check=True)
    return (place / how).read_text().count("<heap nr=")


def test_all_threads_share_two_heaps(tmp_path: Path) -> None:
    assert heaps(tmp_path, "shared") <= 2
    assert heaps(tmp_path, "apart") > 2


_HOLES = """\
from pathlib import Path
from headway.layers.unpacking.heaps import trim_heaps


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])


held = [bytes(8192) for _ in range(5000)]
last = held.pop()
del held
before = resident()
trim_heaps()
print((before - resident()) * 4096)
"""


def test_holes_below_what_is_in_use_go_back() -> None:
    """Freeing from the top of a heap goes back by itself: here one block stays above the rest."""
    told = subprocess.run([sys.executable, "-c", _HOLES], check=True, stdout=subprocess.PIPE, text=True)

    assert int(told.stdout) > 30 << 20
