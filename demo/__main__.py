"""The main job, shown on the spot: a pull over a link that breaks in every way, and what it cost.

Everything is real: an image of this machine's own Python, a registry, a TCP link in front of it that cuts, goes
away and falls silent, and the `headway` command as a child that is killed. Every figure at the end is the link's own
count. Nothing is left behind.
"""

from __future__ import annotations

import math
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.image import build_image, compare_tree
from tests.fakes.images import Image
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.faults.story import CutEvery, LinkFault, Outage, RateLimit, SilentAfter

CUT_BYTES = 400_000
RATE = 4_000_000
OUTAGE_SECONDS = 4.0
HEADWAY = [str(Path(sys.executable).parent / "headway")]


def main() -> int:
    """Run the demo; 0 when everything held."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="headway-demo-") as place, stopped_by_signals():
        demo = Demo(Path(place))
        held = demo.show()
    print(
        f"Demo {'passed' if held else 'FAILED'} in {time.monotonic() - began:.0f} s; nothing was left behind."
        "   Next: .venv/bin/headway pull alpine"
    )
    return 0 if held else 1


class Demo:
    """The story and its figures.

    Args:
        place: A directory of its own.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.rows: list[tuple[str, str]] = []
        self.held = True

    def show(self) -> bool:
        """Tell the story; return whether every promise held."""
        say("An image of this machine's own Python, a registry, and a bad link in front of it.")
        image, expected = build_image()
        with Registry([image], repository="demo/python") as registry:
            self.bad_link(registry, image, expected)
            self.unplugged(registry, image)
        print("\nA link cut every 400 KB, gone for 4 s, silent once; the pull killed once with SIGKILL")
        for title, text in self.rows:
            print(f"{title:<16} {text}")
        return self.held

    def bad_link(self, registry: Registry, image: Image, expected: dict[str, str]) -> None:
        """Pull over a link that does everything wrong, with a kill in the middle."""
        host, _, port = registry.host.partition(":")
        faults: tuple[LinkFault, ...] = (CutEvery(CUT_BYTES), RateLimit(RATE))
        with Link(target=(host, int(port)), faults=faults) as link:
            name, root = f"{link.host}/demo/python:{image.tag}", self.place / "root"
            command = ["pull", "--data-root", str(root), name]
            with Pull(command) as pull:
                wait_until(lambda: link.bytes_down > image.size * 0.3 or not pull.is_running)
                pull.kill()
            say(f"Killed. The same command again; the link is gone for {OUTAGE_SECONDS:.0f} s, and then falls silent.")
            link.faults = (Outage(int(image.size * 0.5), OUTAGE_SECONDS), *faults)
            with Pull(command) as pull:
                wait_until(lambda: link.is_down or not pull.is_running)
                link.faults = (SilentAfter(CUT_BYTES // 2), *faults)  # of whatever connection comes after the outage
                status = pull.wait()
            ratio = link.bytes_down / image.size
            self.row("image", f"{image.size:,} bytes in {len(image.layers)} layers")
            self.row(
                "crossed the link",
                f"{link.bytes_down:,} bytes   ratio {ratio:.3f} (headers included)",
                holds=status == 0 and ratio <= 1.05,
            )
            self.row(
                "survived",
                f"{link.cuts} cuts, {self.silence(link)}, 1 outage, 1 kill -9",
                holds=link.cuts > 10 and " silent" in pull.said and "refused" in pull.said,
            )
            target = self.place / "tree"
            headway("unpack", "--data-root", str(root), name, str(target))
            problem = compare_tree(target, expected)
            self.row(
                "tree", f"{len(expected)} files, every file's sha256 as built: {problem or 'OK'}", holds=not problem
            )

    @staticmethod
    def silence(link: Link) -> str:
        """Say how long the silence lasted: until the connection was left for another one."""
        when = {what: seconds for seconds, what in reversed(link.events)}  # the first of each
        if "silence" not in when:
            return "no silence"
        return "1 silence" + (f" (left after {when['left'] - when['silence']:.1f} s)" if "left" in when else "")

    def unplugged(self, registry: Registry, image: Image) -> None:
        """Show what Docker's own setting does: three attempts on a dead link, and the rest later."""
        say("\nDocker's own setting, max-download-attempts: three attempts on an unplugged link, and the rest later.")
        host, _, port = registry.host.partition(":")
        faults = (RateLimit(4 * RATE), Outage(int(image.size * 0.35), math.inf))
        with Link(target=(host, int(port)), faults=faults) as link:
            name, root = f"{link.host}/demo/python:{image.tag}", self.place / "second"
            command = ["pull", "--data-root", str(root), "--max-download-attempts=3", name]
            with Pull(command) as pull:
                status = pull.wait()
            stopped = status == 75 and "stopped after 3 attempts" in pull.said and "kept: " in pull.said
            kept = pull.said.partition("kept: ")[2].partition(";")[0]
            link.up()
            status = headway(*command)
            ratio = link.bytes_down / image.size
            text = f"stopped after 3 attempts, {kept} kept, then finished from there (ratio {ratio:.3f})"
            self.row("unplugged", f"max-download-attempts=3: {text}", holds=stopped and status == 0 and ratio <= 1.05)

    def row(self, title: str, text: str, *, holds: bool = True) -> None:
        """Keep a line for the end; what does not hold is said."""
        self.held = self.held and holds
        self.rows.append((title, text + ("" if holds else "   <- NOT AS PROMISED")))


class Pull:
    """A `headway` command as a child; what it says is shown and kept.

    Args:
        arguments: Behind ``headway``.
    """

    def __init__(self, arguments: list[str]) -> None:
        print(f"\n$ headway {shlex.join(arguments)}", flush=True)
        self.said = ""
        self._process = subprocess.Popen(
            [*HEADWAY, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said += line
            if "connection lost;" not in line and "downloading" not in line:  # sixty cuts would fill the screen
                print(f"  {line}", end="", flush=True)

    def __enter__(self) -> Pull:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_running:
            self._process.kill()
        self.wait()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Send SIGKILL."""
        print("  (kill -9)", flush=True)
        self._process.send_signal(signal.SIGKILL)

    def wait(self) -> int:
        """Return its exit status."""
        status = self._process.wait()
        self._reader.join()
        return status


def headway(*arguments: str) -> int:
    """Run a command to its end."""
    with Pull(list(arguments)) as pull:
        return pull.wait()


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for a condition, for a minute at the most."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Leave by an exception on SIGTERM and when the terminal goes, so that everything is cleaned up."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
