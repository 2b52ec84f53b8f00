"""Prints the ID of each image in a store whose own program does not: ``python -m bench.image_ids KIND PLACE``."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def of_directory(place: str) -> Iterator[str]:
    """Yield the ID of the image that skopeo has copied to a directory, if it is there."""
    manifest = Path(place, "manifest.json")
    if manifest.exists():
        yield json.loads(manifest.read_text())["config"]["digest"]


def of_containerd(address: str) -> Iterator[str]:
    """Yield the ID of each image that containerd has with all its content, and unpacked."""
    ctr = ["ctr", "--address", address, "--namespace", "bench"]
    listed = subprocess.run([*ctr, "images", "check"], capture_output=True, text=True, check=True).stdout
    for digest in whole(listed):
        content = subprocess.run([*ctr, "content", "get", digest], capture_output=True, check=True).stdout
        yield json.loads(content)["config"]["digest"]


def whole(listed: str) -> Iterator[str]:
    """Yield the manifests' digests of images that lack nothing, by the table of ``ctr images check``."""
    for line in listed.splitlines()[1:]:
        _, _, digest, status, *_, unpacked = line.split()
        if (status, unpacked) == ("complete", "true"):
            yield digest


if __name__ == "__main__":
    kind, where = sys.argv[1:]
    for each in {"directory": of_directory, "containerd": of_containerd}[kind](where):
        print(each)
