"""Archives of images as several programs of several years write them, made without Headway's own code."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile  # noqa: TID251 - what another implementation wrote is what these tests want
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.fakes.images import Image, digest_of


def tar_of(files: Mapping[str, bytes | str]) -> bytes:
    """Return a tar with these files and symlinks, in this order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def files_of(archive: bytes) -> dict[str, bytes]:
    """Return the files of a tar."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {each.name: _content(opened, each) for each in opened if each.isfile()}


def _content(opened: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = opened.extractfile(member)
    assert file is not None
    return file.read()


def docker_20(*images: Image) -> dict[str, bytes | str]:
    """Return the files of what Docker 20.10 saves: a directory for each layer, documents last.

    A layer that several images have is there once; the others have a symlink to it.
    """
    files: dict[str, bytes | str] = {}
    items, first = [], dict[str, str]()
    for image in images:
        names = []
        for number, (digest, diff_id) in enumerate(zip(image.layers, image.diff_ids, strict=True)):
            directory = hashlib.sha256(f"{image.image_id}{number}".encode()).hexdigest()
            names.append(f"{directory}/layer.tar")
            files |= {f"{directory}/VERSION": b"1.0", f"{directory}/json": b'{"id":"%s"}' % directory.encode()}
            link = first.setdefault(diff_id, directory)
            files[names[-1]] = image.blobs[digest] if link == directory else f"../{link}/layer.tar"
        config = f"{image.image_id.partition(':')[2]}.json"
        files[config] = image.blobs[image.image_id]
        items.append({"Config": config, "RepoTags": [image.tag], "Layers": names})
    return {**files, "manifest.json": json.dumps(items).encode(), "repositories": b"{}"}


def skopeo_docker(image: Image) -> dict[str, bytes | str]:
    """Return the files of a docker-archive as skopeo and podman write it: layers are named by their diff IDs."""
    layers = {f"{digest_of(image.blobs[each])[7:]}.tar": image.blobs[each] for each in image.layers}
    config = f"{image.image_id.partition(':')[2]}.json"
    item = {"Config": config, "RepoTags": [image.tag], "Layers": list(layers)}
    return {**layers, config: image.blobs[image.image_id], "manifest.json": json.dumps([item]).encode()}


def oci(*images: Image, documents_first: bool = False) -> dict[str, bytes | str]:
    """Return the files of an OCI layout; the index stands first or last."""
    entries = [
        {
            "mediaType": image.media_types[image.manifest_digest],
            "digest": image.manifest_digest,
            "size": len(image.blobs[image.manifest_digest]),
            "annotations": {"org.opencontainers.image.ref.name": image.tag},
        }
        for image in images
    ]
    documents: dict[str, bytes | str] = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": entries}).encode(),
    }
    blobs: dict[str, bytes | str] = {
        f"blobs/{digest.replace(':', '/')}": data for image in images for digest, data in image.blobs.items()
    }
    return {**documents, **blobs} if documents_first else {**blobs, **documents}


def docker_28(image: Image) -> dict[str, bytes | str]:
    """Return the files of what Docker 28 saves: an OCI layout of plain tars, and manifest.json beside it."""
    files = oci(image)
    manifest: dict[str, Any] = image.manifest
    item = {
        "Config": f"blobs/{image.image_id.replace(':', '/')}",
        "RepoTags": [image.tag],
        "Layers": [f"blobs/{layer['digest'].replace(':', '/')}" for layer in manifest["layers"]],
    }
    return {**files, "manifest.json": json.dumps([item]).encode()}


def written(directory: Path, files: Mapping[str, bytes | str]) -> Path:
    """Write an archive's files below a directory, and return it."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)
    return directory
