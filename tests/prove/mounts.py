"""What is mounted is what podman runs, as deep as images are; and what `docker diff` costs."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from headway.container_records import RwPlace
from headway.interfaces.drivers import RwDriver
from headway.layers.drivers.overlay2 import Overlay2Driver
from headway.layers.drivers.vfs import VfsDriver
from headway.records import LayerReport, Tree
from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.registry import Registry
from tests.prove.sheet import Sheet, check

LAYERS = 125
FILES = 20_000
SHARE = 0.05
SCRIPT = "echo it runs; /bin/busybox touch /new && /bin/busybox ls /new"


@check(
    "mounts",
    "podman runs an image of 125 layers from `headway mount` and writes elsewhere; the changes of an overlay2 container"
    " over 20,000 files cost <= 5 % of the CPU of comparing all files.",
    needs_root=True,
)
def mounts(sheet: Sheet) -> None:
    """Mount and run a deep image, then compare what changes cost."""
    headway = Cli(sheet.place / "root")
    with Registry([_deep()]) as registry:
        name = headway("pull", "-q", f"{registry.host}/test/image").stdout.strip()
    mounted = headway("mount", name)
    path = Path(mounted.stdout.strip())
    sheet.right(f"an image of {LAYERS} layers mounts", mounted.stderr)
    sheet.right(
        "every layer is there", "" if len(list(path.glob("layer-*"))) == LAYERS - 1 else str(list(path.iterdir()))
    )
    sheet.right("podman runs it with --rootfs PATH:O", _podman(sheet.place, path))
    sheet.right("what it wrote is not in the image", "/new is there" if (path / "new").exists() else "")
    sheet.right("it is given back", headway("umount", name).stderr)
    overlay, vfs = (_cpu_of_changes(sheet.place / driver.name, driver) for driver in (Overlay2Driver(), VfsDriver()))
    sheet.tell("CPU of vfs' changes", f"{vfs * 1000:.0f} ms")
    sheet.at_most("CPU of overlay2's changes beside it", overlay / vfs, SHARE)


def _deep() -> images.Image:
    busybox = images.File(Path("/bin/busybox").read_bytes(), mode=0o755)
    folders: images.Files = {f"{name}/": b"" for name in ("bin", "dev", "etc", "proc", "sys", "run", "tmp")}
    base = {**folders, "bin/busybox": busybox, "etc/passwd": b"root:x:0:0::/:/bin/busybox\n"}
    return images.image([base, *({f"layer-{number}": b"x"} for number in range(LAYERS - 1))])


def _podman(place: Path, path: Path) -> str:
    """Run a command in what is mounted; return what went wrong. Podman wants short paths for its state."""
    state: list[str | Path] = [
        "--root",
        place / "podman",
        "--runroot",
        place / "p",
        "--cgroup-manager",
        "cgroupfs",
        "--runtime",
        "runc",
    ]
    limits = ["--network", "none", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
    options = ["run", "--rm", *limits, "--rootfs", f"{path}:O", "/bin/busybox", "sh", "-c", SCRIPT]
    try:
        done = subprocess.run(
            ["podman", *state, *options],
            text=True,
            capture_output=True,
            check=False,
            timeout=90,
        )
    finally:
        subprocess.run(["umount", place / "podman/overlay"], check=False, capture_output=True)
    return "" if done.stdout.split("\n") == ["it runs", "/new", ""] else done.stdout + done.stderr


def _cpu_of_changes(place: Path, driver: RwDriver) -> float:
    """Return what it costs to find one change over many files, in seconds of CPU."""
    base = place / "base"
    for number in range(FILES):
        if number % 100 == 0:
            (base / f"{number}").mkdir(parents=True)
        (base / f"{number // 100 * 100}/{number % 100}").touch()
    box = RwPlace(place / "rw")
    box.path.mkdir()
    trees = [Tree(base, LayerReport(root_entry=True))]
    driver.create(box, trees, {})
    driver.mount_rw(box, trees)
    try:
        (box.merged / "0/new").touch()
        return _cpu(lambda: driver.changes(box, trees))
    finally:
        driver.unmount(box.merged)


def _cpu(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before
