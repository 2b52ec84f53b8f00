"""Loads onto a disk that is too small: one error, nothing listed, nothing left, and what was here works on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fakes import images
from tests.fakes.archives import docker_20, oci, tar_of
from tests.fakes.cli import Cli
from tests.faults.volume import MIB, Volume, volume

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems")

FIRST = images.image([{"a": b"a"}], compression="none", tag="first:1")
BIG = images.image([images.noise_layer(2 * MIB, seed=1), images.noise_layer(2 * MIB, seed=2)], tag="big:1")
PLAIN = images.image(
    [images.noise_layer(2 * MIB, seed=1), images.noise_layer(2 * MIB, seed=2)], compression="none", tag="big:1"
)
ARCHIVES = {"spooled": tar_of(docker_20(PLAIN)), "streamed": tar_of(oci(BIG, documents_first=True))}


@pytest.mark.parametrize(("kind", "system"), [("spooled", "ext4"), ("streamed", "tmpfs")])
def test_a_full_disk_is_one_error_and_takes_nothing_away(tmp_path: Path, kind: str, system: str) -> None:
    with volume(tmp_path, system) as disk:
        _fill_and_load(disk, tmp_path, ARCHIVES[kind])


def _fill_and_load(disk: Volume, tmp_path: Path, big: bytes) -> None:
    headway = Cli(disk.root)
    for name, archive in (("first", tar_of(docker_20(FIRST))), ("big", big)):
        (tmp_path / name).write_bytes(archive)
    assert headway("load", "-i", tmp_path / "first").returncode == 0

    for room in range(MIB // 2, 4 * MIB, MIB):
        disk.leave(room)
        free = disk.free()
        with (tmp_path / "big").open("rb") as source:
            failed = headway.start("load", stdin=source.fileno())
            stdout, stderr = failed.communicate(timeout=60)
        assert failed.returncode == 73, (room, stderr)
        assert (stdout, stderr.count("headway:")) == ("", 1)
        assert headway("images", "--format", "{{.Repository}}").stdout == "first\n"
        assert disk.free() >= free - 64 * 1024

    disk.leave(12 * MIB)
    assert headway("load", "-i", tmp_path / "big").returncode == 0
    assert headway("unpack", "big:1", tmp_path / "unpacked").returncode == 0
