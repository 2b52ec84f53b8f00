"""Layers of many makers: each tree is GNU tar's and umoci's, and each tar comes back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fakes.makers import MAKERS
from tests.fakes.round_trip import compared
from tests.fakes.servers import DockerRegistry

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away and makes devices: run it as root")


@pytest.mark.parametrize("maker", MAKERS)
def test_what_anybody_makes_comes_out_alike_and_comes_back(
    tmp_path: Path, registry: DockerRegistry, maker: str
) -> None:
    for name in ("made", "work"):
        (tmp_path / name).mkdir()
    layout = MAKERS[maker](tmp_path / "made")

    assert [(what, problem) for what, problem in compared(layout, registry, tmp_path / "work") if problem] == []
