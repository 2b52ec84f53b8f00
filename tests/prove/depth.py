"""The deepest images there may be."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headway.composition.reading import reading
from headway.layers.drivers.overlay2 import Overlay2Driver
from headway.service.images.lookup import Lookup
from headway.settings import Settings
from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.servers import docker_registry
from tests.fakes.tars import directory, file, opaque, symlink, tar, whiteout
from tests.fakes.trees import differences, umoci_unpack
from tests.prove.scene import run, unlisted
from tests.prove.sheet import Sheet, check

LAYERS = 125
FINAL = 1


@check(
    "depth", "An image of 125 layers pulls, mounts and unpacks as umoci has it; one of 126 is refused.", needs_root=True
)
def depth(sheet: Sheet) -> None:
    """Push the deepest image to a real registry and pull it; then one that is deeper."""
    deep = images.image([_layer(number) for number in range(LAYERS)])
    deeper = images.image([_layer(number) for number in range(LAYERS + 1)])
    cli = Cli(sheet.place / "root")
    with docker_registry(sheet.place / "registry") as registry:
        name = registry.push(deep, "deep/image")
        pulled = run(cli, "pull", name)
        sheet.right(f"{LAYERS} layers: pulled", pulled.problem)
        sheet.tell("seconds", f"{pulled.seconds:.1f}")
        sheet.right(f"{LAYERS} layers: unpacked", run(cli, "unpack", name, sheet.place / "tree").problem)
        expected = umoci_unpack(deep, sheet.place)
        sheet.right("the tree is umoci's", _differ(sheet.place / "tree", expected))
        with _mounted(cli.data_root, name, sheet.place / "mount") as mount:
            sheet.right("the mount is umoci's", _differ(mount, expected))
        shutil.rmtree(cli.data_root)
        refused = run(cli, "pull", registry.push(deeper, "deeper/image"))
    first = refused.stderr.splitlines()[0] if refused.stderr else ""
    sheet.right(f"{LAYERS + 1} layers: refused", "" if "max depth exceeded" in first else refused.stderr)
    sheet.right(f"exit status {FINAL}", "" if refused.status == FINAL else str(refused.status))
    sheet.right("nothing listed", unlisted(cli))


def _layer(number: int) -> bytes:
    """Return a layer that adds, replaces and removes what others below it have."""
    items = [
        directory("shared", mode=0o700 + number % 8),
        directory(f"own/{number % 10}"),
        file(f"own/{number % 10}/{number}", b"%d" % number, uid=number),
        file("shared/last", b"%d" % number, mode=0o600 + number % 8),
        symlink("latest", f"own/{number % 10}/{number}"),
    ]
    if number > 2:
        items.append(whiteout(f"own/{(number - 2) % 10}/{number - 2}") if number % 2 else file(f"over/{number % 7}"))
    if number % 25 == 24:
        items.append(opaque("over"))
    return tar(directory("own"), *items)


def _differ(actual: Path, expected: Path) -> str:
    found = {key: value for key, value in differences(actual, expected).items() if key != ".: mtime"}
    return "; ".join(f"{key}: {value}" for key, value in list(found.items())[:5])


@contextmanager
def _mounted(data_root: Path, name: str, target: Path) -> Iterator[Path]:
    target.mkdir()
    driver = Overlay2Driver()
    with reading(Settings(data_root=data_root)) as records:
        driver.mount(records.layers.trees(Lookup(records).find(name).chain_id), target)
    try:
        yield target
    finally:
        driver.unmount(target)
