"""What GNU tar writes, in every format it has, is unpacked as GNU tar unpacks it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from headway.layers.unpacking.applier import apply_layer
from tests.fakes.nasty import make_nasty
from tests.fakes.tars import Source
from tests.fakes.trees import snapshot

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away and makes devices: run it as root")


@pytest.mark.parametrize("dialect", ["gnu", "oldgnu", "pax", "ustar", "v7"])
@pytest.mark.parametrize("sparse", [(), ("--sparse",)])
def test_every_format_unpacks_as_gnu_tar_unpacks_it(tmp_path: Path, dialect: str, sparse: tuple[str, ...]) -> None:
    source, ours, theirs = (tmp_path / name for name in ("source", "ours", "theirs"))
    for folder in (source, ours, theirs):
        folder.mkdir()
    make_nasty(source, long_names=dialect in ("gnu", "oldgnu", "pax"))
    options = [f"--format={dialect}", *(["--xattrs", "--xattrs-include=*"] if dialect == "pax" else [])]
    command = ["tar", "-cf", "-", *options, *(sparse if dialect not in ("ustar", "v7") else ()), "-C", str(source), "."]
    archive = subprocess.run(command, check=False, capture_output=True).stdout  # v7 cannot hold devices: it says so

    _extract(archive, theirs)
    _, report = apply_layer(Source(archive), ours, lambda _: None)

    assert snapshot(ours) == snapshot(theirs)
    assert len(snapshot(ours)) > 20
    assert report.implicit == ()


def _extract(archive: bytes, target: Path) -> None:
    command = ["tar", "--xattrs", "--xattrs-include=*", "--numeric-owner", "--same-owner", "-p", "-xf", "-", "-C"]
    subprocess.run([*command, str(target)], input=archive, check=True)


def test_holes_stay_holes(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as target:
        target.seek(50 << 20)
        target.write(b"end")
    command = ["tar", "-cf", "-", "--sparse", "--format=pax", "-C", str(tmp_path), "sparse"]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    tree = tmp_path / "tree"
    tree.mkdir()

    _, report = apply_layer(Source(archive), tree, lambda _: None)

    status = (tree / "sparse").stat()
    assert (status.st_size, report.size) == ((50 << 20) + 3, (50 << 20) + 3)
    assert report.disk_bytes == (status.st_blocks + tree.stat().st_blocks) * 512 == 2 * 4096
