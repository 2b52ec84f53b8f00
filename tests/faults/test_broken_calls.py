"""A few system calls that fail; `make prove ONLY=disk-full` breaks them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.broken_calls import Break, pull_with
from tests.faults.power import Known
from tests.faults.registry import Registry

LAYERS: list[images.Files] = [{f"usr/{number}": b"text " * 900 for number in range(12)}, {"usr/0": b"x"}]


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        (Break("pwrite64", "ENOSPC", 1), 73),
        (Break("pwrite64", "ENOSPC", 6), 73),  # the database's shared memory
        (Break("pwrite64", "ENOSPC", 14, for_good=True), 73),  # its log
        (Break("rename,renameat,renameat2", "ENOSPC", 1), 73),
        (Break("fsync,fdatasync,syncfs", "EIO", 2), 1),
        (Break("write", "ENOSPC", 9, for_good=True, kill="unlinkat"), -9),
    ],
)
def test_what_a_broken_call_stops_goes_on(tmp_path: Path, broken: Break, status: int) -> None:
    image = images.image(LAYERS)
    with Registry([image]) as registry:
        after = pull_with(broken, Cli(tmp_path / "root"), Known(f"{registry.host}/test/image", image, LAYERS))

    assert after.hit
    assert after.problems == []
    assert after.status == status, after.said
