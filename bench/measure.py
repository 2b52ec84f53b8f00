"""CPU time and memory of one program, all its processes included.

Rule: a program is a control group, so that daemon, client and short-lived children count alike and
nothing else on the machine does. Only the version 2 hierarchy is used, mounted by ourselves: its
accounting needs no controller, so it works beside version 1 and under any init system.
"""

import contextlib
import ctypes
import os
import platform
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import ENDS_WITH_US, BenchError, run
from bench.scratch import abandoned, own_name

SAMPLE_SECONDS = 0.05
PULL_SECONDS = 900.0
KCMP = {"x86_64": 312, "aarch64": 272, "riscv64": 272}  # the number of kcmp(2)
KCMP_VM = 1
LIBC = ctypes.CDLL(None)
# The shell moves itself into the group and then becomes the program.
ENTER = 'echo $$ > "$0" && exec "$@"'


@dataclass(frozen=True, slots=True)
class Measured:
    """What one command cost: seconds from start to exit, and the program's CPU and memory in that time."""

    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int


class Group:
    """The processes of one program: those started through :meth:`enter`, and their descendants."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def enter(self, command: Sequence[str]) -> list[str]:
        """Return the command that starts ``command`` inside the group."""
        return ["/bin/sh", "-c", ENTER, str(self._folder / "cgroup.procs"), *command]

    def cpu_seconds(self) -> float:
        """Return user and system time so far, of living and dead processes."""
        facts = dict(line.split() for line in (self._folder / "cpu.stat").read_text().splitlines())
        return int(facts["usage_usec"]) / 1e6

    def rss_bytes(self) -> int:
        """Return resident memory now, summed over the processes."""
        return resident_bytes((self._folder / "cgroup.procs").read_text().split())

    def kill(self) -> None:
        """Kill what is left in the group and return when it is gone."""
        procs = self._folder / "cgroup.procs"
        deadline = time.monotonic() + 10
        while (pids := procs.read_text().split()) and time.monotonic() < deadline:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), 9)
            time.sleep(0.02)


class Uncounted(Group):
    """A group for programs whose CPU and memory nobody counts."""

    def __init__(self) -> None:
        super().__init__(Path("/nonexistent"))

    def enter(self, command: Sequence[str]) -> list[str]:
        """Return the command as it is."""
        return list(command)


def resident_bytes(pids: Iterable[str]) -> int:
    """Return the memory that processes hold together, of those that are still there.

    Files mapped by several processes of one program (dockerd starts itself anew for each layer)
    count once; anonymous memory shared since a fork counts in each. A process that is just being started
    still runs in the memory of the one that starts it (vfork), and counts nothing.
    """
    anonymous, mapped = 0, dict[str, int]()
    for pid in pids:
        process = Path("/proc", pid)
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, KeyError):  # it ended meanwhile
            program = os.readlink(process / "exe")
            status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
            if _is_in_one_memory(int(pid), int(status["PPid"])):
                continue
            anonymous += _kibibytes(status["RssAnon"]) + _kibibytes(status["RssShmem"])
            mapped[program] = max(mapped.get(program, 0), _kibibytes(status["RssFile"]))
    return anonymous + sum(mapped.values())


def _is_in_one_memory(one: int, other: int) -> bool:
    """Tell whether two processes run in the same memory; False where the kernel does not say (kcmp(2))."""
    number = KCMP.get(platform.machine())
    return number is not None and LIBC.syscall(number, one, other, KCMP_VM, 0, 0) == 0


def _kibibytes(field: str) -> int:
    """Return the bytes of a memory field of /proc/PID/status, such as ``  1234 kB``."""
    return int(field.split(maxsplit=1)[0]) << 10


@contextmanager
def hierarchy(folder: Path) -> Iterator[Path]:
    """Mount the version 2 control group hierarchy at ``folder`` inside the block.

    Raises:
        BenchError: The kernel or the container we run in does not allow it.
    """
    folder.mkdir(exist_ok=True)
    try:
        run(["mount", "-t", "cgroup2", "none", str(folder)])
    except BenchError as error:
        folder.rmdir()
        raise BenchError(f"CPU cannot be counted without control groups: {error}") from error
    try:
        for left in abandoned(folder):
            with contextlib.suppress(OSError):  # somebody still runs in it
                left.rmdir()
        yield folder
    finally:
        run(["umount", str(folder)])
        folder.rmdir()


@contextmanager
def group(parent: Path, name: str) -> Iterator[Group]:
    """Make a control group inside the block; what still runs in it afterwards is killed."""
    folder = parent / own_name(name)
    folder.mkdir()
    members = Group(folder)
    try:
        yield members
    finally:
        members.kill()
        folder.rmdir()


def measure(members: Group, command: Sequence[str], *, environment: Mapping[str, str]) -> Measured:
    """Run a command in the group and measure the whole group while it runs.

    Raises:
        BenchError: The command did not end with 0, or not within 15 minutes.
    """
    cpu_before = members.cpu_seconds()
    with sampling(members) as peak:
        started = time.perf_counter()
        try:
            done = subprocess.run(
                [*ENDS_WITH_US, *members.enter(command)],
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
                env=os.environ | dict(environment),
                timeout=PULL_SECONDS,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"{' '.join(command)} did not end in {PULL_SECONDS:.0f} s") from error
        wall = time.perf_counter() - started
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.strip()[-1000:]}")
    return Measured(wall, members.cpu_seconds() - cpu_before, peak[0])


@contextmanager
def sampling(members: Group) -> Iterator[list[int]]:
    """Keep the highest sum of resident memory seen inside the block as the list's only item."""
    peak = [0]
    finished = threading.Event()

    def sample() -> None:
        while not finished.wait(SAMPLE_SECONDS):
            peak[0] = max(peak[0], members.rss_bytes())

    sampler = threading.Thread(target=sample, name="rss")
    sampler.start()
    try:
        yield peak
    finally:
        finished.set()
        sampler.join()
