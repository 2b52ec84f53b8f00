"""A few power cuts in a short life of a data root; `make prove ONLY=power` does two hundred in longer ones."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.disk import Disk, mounted
from tests.faults.power import Known, Story, looks
from tests.faults.registry import Registry

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems")

SIZE = 64 << 20
MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    (tmp_path / "fuse").mkdir()
    return Disk(tmp_path / "fuse", SIZE)


def test_the_recorded_disk_keeps_what_was_flushed_and_may_lose_the_rest(disk: Disk) -> None:
    with disk:
        descriptor = os.open(disk.path, os.O_RDWR)
        os.pwrite(descriptor, b"flushed", 0)
        os.fsync(descriptor)
        os.pwrite(descriptor, b"cached!", 0)
        os.pwrite(descriptor, b"cached!", 2 * MIB)
        again = os.pread(descriptor, 7, 2 * MIB)
        os.close(descriptor)

    left = [blocks for seed in range(20) for _, blocks in disk.after_cuts([disk.position], random.Random(seed))]

    assert again == b"cached!"
    assert {blocks[0][:7] for blocks in left} == {b"flushed", b"cached!"}
    assert {2 * MIB // 4096 in blocks for blocks in left} == {True, False}


def test_after_a_power_cut_what_was_told_is_there_and_the_rest_goes_on(disk: Disk, tmp_path: Path) -> None:
    base = {f"usr/share/{number}": b"text %d " % number * 400 for number in range(60)}
    layers: list[list[images.Files]] = [[base, images.noise_layer(MIB, seed=1)], [base, {"usr/share/0": b"another\n"}]]
    built = [images.image(each, tag=f"t{number}") for number, each in enumerate(layers)]
    with Registry(built) as registry:
        known = [
            Known(f"{registry.host}/test/image:t{number}", image, layers[number]) for number, image in enumerate(built)
        ]
        story = Story(Cli(tmp_path / "life" / "root"), known)
        with disk:
            subprocess.run(["mkfs.ext4", "-q", "-F", disk.path], check=True)
            with mounted(disk.path, tmp_path / "life"):
                begin = disk.position
                story.pull(known[0])
                story.pull(known[1])
                story.remove(known[0])
        source = random.Random(1)
        positions = [source.randrange(begin, disk.position) for _ in range(5)]

        found = list(looks(disk, SIZE, positions, story, tmp_path, seed=1))

    assert [problem for look in found for problem in look.problems] == []
    assert len(found) == 5
