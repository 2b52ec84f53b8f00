"""What dockerd 20.10 with overlay2 finds on its disk, written without dockerd: pulling thousands of images takes hours.

Only what it reads when it starts and when it is asked for images; no layer has files, and none can be mounted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from headway.oci.digest import DiffID, Digest, chain_ids

_SIZE = "1"


def write_docker_store(root: Path, stacks: Sequence[Sequence[DiffID]]) -> None:
    """Write a data root with one image for each stack of layers, and one tag for each image."""
    images, layers = root / "image" / "overlay2", root / "image" / "overlay2" / "layerdb" / "sha256"
    configs = images / "imagedb" / "content" / "sha256"
    for directory in (layers, configs, root / "overlay2" / "l"):
        directory.mkdir(parents=True)
    names = {}
    for number, stack in enumerate(stacks):
        config = _config(number, stack)
        image_id = Digest.of(config)
        (configs / image_id.hex).write_bytes(config)
        repository = f"registry.example/team/app-{number}"
        names[repository] = {f"{repository}:0": str(image_id)}
        for chain_id, parent, diff_id in _chains(stack):
            _write_layer(layers / chain_id.hex, root / "overlay2", parent, diff_id)
    (images / "repositories.json").write_text(json.dumps({"Repositories": names}))


def _chains(stack: Sequence[DiffID]) -> Iterator[tuple[Digest, Digest | None, DiffID]]:
    chains = chain_ids(stack)
    yield from zip(chains, [None, *chains], stack, strict=False)


def _write_layer(record: Path, trees: Path, parent: Digest | None, diff_id: DiffID) -> None:
    if record.exists():
        return
    record.mkdir()
    (trees / record.name / "diff").mkdir(parents=True)
    facts = {"cache-id": record.name, "diff": str(diff_id), "size": _SIZE, "parent": str(parent or "")}
    for name, text in facts.items():
        if text:
            (record / name).write_text(text)


def _config(number: int, stack: Sequence[DiffID]) -> bytes:
    document = {
        "architecture": "amd64",
        "os": "linux",
        "created": f"2026-01-01T00:00:00.{number:06}Z",
        "config": {"Labels": {"number": str(number)}},
        "rootfs": {"type": "layers", "diff_ids": [str(diff_id) for diff_id in stack]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "made"} for _ in stack],
    }
    return json.dumps(document).encode()
