"""A program's memory is that of all its processes."""

import subprocess
import sys
from contextlib import suppress

from tests.fakes.waiting import wait_until
from tests.prove.peaks import peaks_of

HELD = 100_000_000

# A process that holds little starts one that holds 100 MB, and both end when stdin does.
PROGRAM = """
import subprocess, sys
if sys.argv[1:] == ["child"]:
    held = b"x" * 100_000_000
    print("ready", flush=True)
    sys.stdin.read()
else:
    subprocess.run([sys.executable, "-c", sys.argv[1], "child"], check=True)
"""


def test_what_a_descendant_holds_is_in_the_peak() -> None:
    command = [sys.executable, "-c", PROGRAM, PROGRAM]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
        peaks_of(process.pid) as peaks,
    ):
        assert process.stdout is not None
        process.stdout.readline()
        with suppress(TimeoutError):
            wait_until(lambda: peaks.memory > HELD, seconds=5)
        process.communicate("")

    assert process.returncode == 0
    assert HELD < peaks.memory < 2 * HELD
