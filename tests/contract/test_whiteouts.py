"""Whiteouts on a file system that takes none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from headway.layers.trees.footprint import Footprint
from headway.layers.trees.whiteouts import Whiteouts


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts overlay")
def test_a_whiteout_that_cannot_be_made_on_overlay_is_named(tmp_path: Path) -> None:
    lower, upper, work, target = (tmp_path / name for name in ("lower", "upper", "work", "target"))
    for directory in (lower, upper, work, target):
        directory.mkdir()
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", target], check=True)
    parent = os.open(target, os.O_RDONLY)
    try:
        with pytest.raises(PermissionError, match="a data root on overlay takes none"):
            Whiteouts(Footprint(4096), rootless=False).hide(parent, b"gone")
    finally:
        os.close(parent)
        subprocess.run(["umount", target], check=True)
