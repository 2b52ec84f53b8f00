"""The headway command as users start it: in a process of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import tty
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import headway

# Python and its modules may lie where only the tester can look: what is needed of them is loaded before.
_AS_ANOTHER_USER = """\
import encodings.idna, encodings.utf_8_sig, importlib, os, pkgutil, sys, headway
for module in pkgutil.walk_packages(headway.__path__, "headway."):
    if module.name != "headway.__main__":
        importlib.import_module(module.name)
user = int(sys.argv.pop(1))
os.setgroups([]), os.setresgid(user, user, user), os.setresuid(user, user, user)
headway.cli.main.run()
"""

_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "PYTHONPATH": str(Path(headway.__file__).parents[1]),  # the Headway that is tested
}


@dataclass(frozen=True, slots=True)
class Cli:
    """Starts the command on one data root.

    Attributes:
        data_root: The data root.
        environment: Beside what is needed to start it at all; nothing of the tester's own gets in.
        uid: The user it runs as, and group of the same number; None for the tester.
        names_root: Whether it is told where its data root is.
        before: A command that starts it, such as `tests.fakes.names.knowing` gives.
    """

    data_root: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    uid: int | None = None
    before: Sequence[str | Path] = ()
    names_root: bool = True

    def __call__(self, *words: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run it to its end; `given` is what it can read from stdin."""
        process = self.start(*words, stdin=subprocess.DEVNULL if given is None else subprocess.PIPE)
        stdout, stderr = process.communicate(given, timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def start(
        self,
        *words: str | Path,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """Start it, with pipes for what it prints unless another place is named."""
        return subprocess.Popen(
            self._command(words),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            errors="surrogateescape",
            cwd="/",
            env={**_ENVIRONMENT, **self.environment},
        )

    def on_terminal(self, *words: str | Path) -> str:
        """Run it to its end on a terminal of 80 columns; return all that it wrote there, control characters too."""
        own, its = pty.openpty()
        tty.setraw(its)  # what is written comes as it was written
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        process = self.start(*words, stdin=its, stdout=its, stderr=its)
        os.close(its)
        shown = bytearray()
        with suppress(OSError):  # EIO: nobody has it open any more
            while piece := os.read(own, 65536):
                shown += piece
        os.close(own)
        process.wait(timeout=60)
        return shown.decode()

    def serve(self, *words: str | Path, output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start it as a server, which writes all that it says to a file."""
        return subprocess.Popen(
            self._command(words),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env={**_ENVIRONMENT, **self.environment},
        )

    def _command(self, words: Sequence[str | Path]) -> list[str | Path]:
        how = ["-m", "headway"] if self.uid is None else ["-c", _AS_ANOTHER_USER, str(self.uid)]
        root: list[str | Path] = ["--data-root", self.data_root] if self.names_root else []
        return [*self.before, sys.executable, "-W", "error", *how, *root, *words]
