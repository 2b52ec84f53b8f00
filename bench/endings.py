"""How a command here ends: with a sentence on stderr, and with nothing that it mounted or started left behind.

Rule: the first signal to end unwinds whatever is under way; those that follow must not interrupt the cleaning up.
"""

import signal
import sys
from collections.abc import Callable
from types import FrameType

from bench.processes import BenchError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOPPED = 130


def ended(work: Callable[[], None]) -> int:
    """Do the work of a command and return its exit status."""
    unwind_once()
    try:
        work()
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: stopped; what was mounted and started is gone", file=sys.stderr)
        return STOPPED
    return 0


def unwind_once() -> None:
    """Let the next signal to end, whichever it is, raise KeyboardInterrupt, and drop all that come after it."""
    for each in SIGNALS:
        signal.signal(each, _stop)


def _stop(_number: int, _frame: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt
