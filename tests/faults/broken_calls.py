"""A disk on which one system call of a command fails: strace stands between the command and the kernel.

Threads are counted apart: the nth call is the nth of each thread.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headway.composition.reading import reading
from headway.settings import Settings
from tests.fakes.cli import Cli
from tests.faults.power import Known, image_problems
from tests.faults.pull import images_listed, litter, pull

CALLS = (
    "pwrite64",  # ingests, journals and the database
    "write",  # files of layers, small blobs
    "mkdir,mkdirat",
    "rename,renameat,renameat2",
    "link,linkat,symlink,symlinkat",
    "ftruncate,fallocate",
    "fsync,fdatasync,syncfs",
)
"""What asks the disk for something; calls with one purpose are counted as they come."""


@dataclass(frozen=True, slots=True)
class Break:
    """What goes wrong.

    Attributes:
        calls: Names of system calls.
        error: ``ENOSPC`` or ``EIO``.
        nth: Which call fails, counted from 1.
        for_good: Whether all that follow fail too.
        kill: Kill the command at the first of these calls behind that.
    """

    calls: str
    error: str
    nth: int
    for_good: bool = False
    kill: str = ""

    def before(self, log: Path) -> Sequence[str]:
        """Return what starts a command with this break; what was injected is written to `log`."""
        when = f"{self.nth}+" if self.for_good else str(self.nth)
        # The filter in the kernel makes the rest run at full speed, but no signal is injected with it (strace 6.1).
        words = ["strace", "-f", "-qq", "-o", str(log)] + ([] if self.kill else ["--seccomp-bpf"])
        words += ["-e", f"trace={','.join(filter(None, (self.calls, self.kill)))}", "-e", "signal=none"]
        words += ["-e", f"inject={self.calls}:error={self.error}:when={when}"]
        return words + (["-e", f"inject={self.kill}:signal=KILL:when=1"] if self.kill else [])


@dataclass(slots=True)
class Aftermath:
    """What came of a pull with a break, and of the same pull without.

    Attributes:
        status: What the first one left with.
        said: What it said last.
        hit: Whether anything failed at all.
        problems: What must not be.
    """

    status: int
    said: str
    hit: bool
    problems: list[str] = field(default_factory=list)


def pull_with(broken: Break, cli: Cli, known: Known) -> Aftermath:
    """Pull with a break, look at what is left, pull again without, and look again."""
    log = cli.data_root.with_name(f"{cli.data_root.name}.strace")
    first = dataclasses.replace(cli, before=broken.before(log))("pull", "--progress", "none", known.name)
    after = Aftermath(first.returncode, first.stderr, "INJECTED" in log.read_text())
    if "Traceback" in first.stderr or "a bug in Headway" in first.stderr:
        after.problems.append(f"a bug: {first.stderr.splitlines()[0]}")
    is_told = "\nnext: " in first.stderr and first.stderr.startswith("headway: ")
    is_mute = broken.for_good and "write" in broken.calls.split(",")
    if first.returncode > 0 and not is_told and not is_mute:
        after.problems.append(f"no message in three parts: {first.returncode} {first.stderr!r}")
    after.problems += _wrong(cli.data_root, known, needed=first.returncode == 0)
    again = pull(known.name, cli.data_root)
    if again.done is None:
        after.problems.append(f"it does not go on: {again.said.splitlines()[0]}")
    after.problems += [f"at start: {told}" for told in again.told]
    after.problems += _wrong(cli.data_root, known, needed=True)
    after.problems += [f"left over: {name}" for name in litter(cli.data_root)]
    return after


def _wrong(root: Path, known: Known, *, needed: bool) -> list[str]:
    if not (root / "headway.db").exists():
        return ["there is no image"] if needed else []
    listed = images_listed(root)
    if not listed:
        return ["there is no image"] if needed else []
    with reading(Settings(data_root=root)) as records:
        (record,) = records.images.list()
        return list(image_problems(records, record, known))
