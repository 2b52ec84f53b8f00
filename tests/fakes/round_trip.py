"""An image through Headway and through others: do the trees come out alike, and do the tars come back?"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from headway.errors import HeadwayError
from headway.layers.recipes.rebuild import verified
from headway.layers.recipes.recipe import Recipe
from tests.fakes.cli import Cli
from tests.fakes.servers import DockerRegistry, skopeo
from tests.fakes.trees import as_overlay, differences, gnu_extract
from tests.fakes.umoci import run

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5"
_DECODERS = {_GZIP: ["gzip", "-dc"], _ZSTD: ["zstd", "-dcq"]}


def compared(layout: Path, registry: DockerRegistry, place: Path) -> Iterator[tuple[str, str]]:
    """Pull the image ``latest`` of a layout; yield what was compared, and how it differs: nothing where it does not.

    Each layer's tree is compared with GNU tar's, its tar with the one that came, the whole image with umoci's.

    Args:
        layout: An OCI layout.
        registry: The image is pushed there, every byte as it is.
        place: An empty directory.
    """
    headway = Cli(place / "root")
    settings = place / "daemon.json"
    settings.write_text('{"record-recipes": true}')
    name = registry.push_layout(layout, "latest", f"compared/{hashlib.sha256(os.fsencode(place)).hexdigest()[:12]}")
    pulled = headway("pull", "--config-file", settings, name)
    if pulled.returncode:
        yield "the pull", pulled.stderr
        return
    for number, blob in enumerate(_layers(layout)):
        tar = place / f"{number}.tar"
        diff_id = _expanded(blob, tar)
        tree = headway.data_root / "trees" / f"sha256-{diff_id}"
        yield (
            f"layer {number}: the tar",
            _not_given_back(headway.data_root / "recipes" / f"sha256-{diff_id}", tree, tar),
        )
        with tar.open("ab") as ended:  # umoci leaves the end away, which GNU tar does not like
            ended.write(bytes(-tar.stat().st_size % 512 + 1024))
        other = gnu_extract(tar, place / f"gnu-{number}")
        as_overlay(other)
        yield f"layer {number}: GNU tar's tree", _differ(tree, other)
    unpacked = headway("unpack", name, place / "unpacked")
    yield "the unpacking", unpacked.stderr
    run("umoci", "raw", "unpack", "--image", f"{_for_umoci(layout, place)}:latest", place / "umoci")
    yield "umoci's tree", _differ(place / "unpacked", place / "umoci")


def _layers(layout: Path) -> list[Path]:
    index = json.loads((layout / "index.json").read_bytes())
    manifest = json.loads(_blob(layout, index["manifests"][0]["digest"]).read_bytes())
    return [_blob(layout, layer["digest"]) for layer in manifest["layers"]]


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


def _expanded(blob: Path, tar: Path) -> str:
    """Let the format's own program expand a blob; return the SHA-256 of the tar."""
    decoder = _DECODERS.get(_magic(blob), ["cat"])
    with blob.open("rb") as packed, tar.open("wb") as target:
        # gzip tells with status 2 that it ignored what follows the last member.
        done = subprocess.run(decoder, stdin=packed, stdout=target, stderr=subprocess.PIPE, check=False)
    assert done.returncode in (0, 2), done.stderr
    with tar.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _magic(blob: Path) -> bytes:
    with blob.open("rb") as packed:
        return packed.read(2)


def _not_given_back(recipe: Path, tree: Path, tar: Path) -> str:
    try:
        with Recipe(recipe) as opened, tar.open("rb") as expected:
            same = all(piece == expected.read(len(piece)) for piece in verified(opened, tree))
            return "" if same and not expected.read(1) else "another tar is given back"
    except (HeadwayError, OSError) as error:
        return str(error)


def _differ(actual: Path, expected: Path) -> str:
    found = differences(actual, expected)
    found |= {f"{name}: opaque": ("?", "?") for name in _opaque(actual) ^ _opaque(expected)}
    return "; ".join(f"{what}: {pair[0]!r} for {pair[1]!r}" for what, pair in list(found.items())[:5])


def _opaque(root: Path) -> set[str]:
    """Return the directories that hide what is below them."""
    above = (Path(top) for top, _, _ in os.walk(root))
    return {str(path.relative_to(root)) for path in above if "trusted.overlay.opaque" in os.listxattr(path)}


def _for_umoci(layout: Path, place: Path) -> Path:
    """Return the image with layers that umoci can read: it knows gzip and no zstd."""
    if all(_magic(blob) == _GZIP for blob in _layers(layout)):
        return layout
    skopeo("copy", "--dest-decompress", f"oci:{layout}:latest", f"dir:{place}/expanded")
    skopeo("copy", f"dir:{place}/expanded", f"oci:{place}/gzip:latest")
    return place / "gzip"
