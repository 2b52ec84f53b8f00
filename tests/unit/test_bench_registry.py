"""What of the registry's is in memory before a pull: the image's blobs, all of them and nothing else."""

import json
from pathlib import Path

import pytest

from bench.corpus import Image
from bench.processes import BenchError
from bench.registry import Registry

TAG = "org.opencontainers.image.ref.name"


def image_of(layout: Path) -> Image:
    """An OCI layout of one layer."""
    contents = {
        "cc": {"rootfs": {"diff_ids": []}},
        "aa": {"config": {"digest": "sha256:cc"}, "layers": [{"digest": "sha256:bb"}]},
        "bb": "the layer",
    }
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for name, content in contents.items():
        (blobs / name).write_text(json.dumps(content))
    manifests = [{"digest": "sha256:aa", "annotations": {TAG: "gzip"}}]
    (layout / "index.json").write_text(json.dumps({"manifests": manifests}))
    return Image("python", "gzip", layout, "sha256:cc", (1,), files=1, unpacked_bytes=1)


def registry_with(storage: Path, *names: str) -> Registry:
    """A registry's storage."""
    for name in names:
        folder = storage / "docker/registry/v2/blobs/sha256" / name[:2] / name
        folder.mkdir(parents=True)
        (folder / "data").write_text("stored")
    return Registry("127.0.0.1:1", storage, storage / "log")


def test_a_pull_has_its_own_blobs_in_memory_and_no_other_images(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    registry = registry_with(storage, "aa", "bb", "cc")
    (storage / "docker/registry/v2/blobs/sha256/dd/dd/data").mkdir(parents=True)  # who opens it, fails

    registry.read_blobs(image_of(tmp_path / "layout"))


def test_a_registry_that_lacks_a_blob_ends_the_measurement(tmp_path: Path) -> None:
    registry = registry_with(tmp_path / "storage", "aa", "cc")

    with pytest.raises(BenchError, match="does not store bb"):
        registry.read_blobs(image_of(tmp_path / "layout"))
