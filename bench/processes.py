"""Run other programs: to the end, or in the background until a block is left.

Rule: whatever is started here is ended here, by its own process ID, also after an error or Ctrl-C; and
by the kernel when the benchmark itself is killed.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

STOP_SECONDS = 30.0
START_SECONDS = 60.0
ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM")


class BenchError(Exception):
    """The benchmark cannot go on; the message says why in a sentence for the person who ran it."""


def run(command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and return what it printed on stdout.

    Args:
        command: Program and arguments.
        environment: Variables added to ours.

    Raises:
        BenchError: It could not be started or did not end with 0; its last lines are in the message.
    """
    try:
        # A session of its own keeps a second Ctrl-C from killing the very command that cleans up.
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env=os.environ | dict(environment or {}),
            start_new_session=True,
        )
    except OSError as error:
        raise BenchError(f"{command[0]} could not be started: {error.strerror}") from error
    if done.returncode != 0:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise BenchError(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
    return done.stdout


def succeeds(command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> bool:
    """Say whether a command ends with 0; what it prints is dropped."""
    try:
        run(command, environment=environment)
    except BenchError:
        return False
    return True


@contextmanager
def background(
    command: Sequence[str],
    *,
    log: Path,
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """Keep a program running inside the block and give its process ID.

    Args:
        command: Program and arguments.
        log: File that takes its stdout and stderr; its name is what an error calls the program.
        ready: Asked every 50 ms; the block is entered when it says yes.
        environment: Variables added to ours.

    Raises:
        BenchError: It ended early, or was not ready within a minute; the end of its log is in the message.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*ENDS_WITH_US, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | dict(environment or {}),
            start_new_session=True,
        )
    try:
        _wait_until(ready, process, log)
        yield process.pid
    finally:
        _stop(process)


def free_port() -> int:
    """Return a loopback TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            said = "\n".join(log.read_text(errors="replace").strip().splitlines()[-5:])
            raise BenchError(f"{log.stem} did not get ready:\n{said}")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
