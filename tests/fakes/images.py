"""Builds small real images: layers, config, manifest and index, with every digest right.

They are made without Headway's own code, so that they can test it. The same arguments give the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile  # noqa: TID251 - ordinary tars that another implementation wrote are what these tests want
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Compression = Literal["gzip", "zstd", "none"]
Media = Literal["oci", "docker"]
Files = Mapping[str, "bytes | File"]

CREATED = "2026-01-02T03:04:05Z"
MTIME = 1_700_000_000
"""Of every file."""

_NOISE_STEP = 16 * 1024 * 1024  # Python gives less than 256 MiB at once
_OCI = "application/vnd.oci.image."
_DOCKER = "application/vnd.docker."
_INDEX = {"oci": f"{_OCI}index.v1+json", "docker": f"{_DOCKER}distribution.manifest.list.v2+json"}
_MANIFEST = {"oci": f"{_OCI}manifest.v1+json", "docker": f"{_DOCKER}distribution.manifest.v2+json"}
_CONFIG = {"oci": f"{_OCI}config.v1+json", "docker": f"{_DOCKER}container.image.v1+json"}
_LAYER = {
    ("oci", "gzip"): f"{_OCI}layer.v1.tar+gzip",
    ("oci", "zstd"): f"{_OCI}layer.v1.tar+zstd",
    ("oci", "none"): f"{_OCI}layer.v1.tar",
    ("docker", "gzip"): f"{_DOCKER}image.rootfs.diff.tar.gzip",
    ("docker", "zstd"): f"{_DOCKER}image.rootfs.diff.tar.zstd",
    ("docker", "none"): f"{_DOCKER}image.rootfs.diff.tar",
}


@dataclass(frozen=True, slots=True)
class File:
    """One entry of a layer.

    Attributes:
        content: Bytes of a regular file.
        mode: Permission bits.
        link: Target of a symbolic link, which it then is.
        hard_link: Name in the tar that it is another name of.
        uid: Owner.
        gid: Group.
        xattrs: Extended attributes.
    """

    content: bytes = b""
    mode: int = 0o644
    link: str = ""
    hard_link: str = ""
    uid: int = 0
    gid: int = 0
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image and everything it is made of.

    Attributes:
        blobs: All content by digest; manifests, indexes and configs are in it too.
        media_types: Of its manifests and indexes, by digest.
        manifest_digest: What the tag stands for: the index, where there is one.
        tag: Its tag.
        image_id: Digest of its (first) config.
        layers: Digests of its (first) manifest's layers, bottom first.
        diff_ids: Digests of their tars.
    """

    blobs: Mapping[str, bytes]
    media_types: Mapping[str, str]
    manifest_digest: str
    tag: str
    image_id: str
    layers: tuple[str, ...]
    diff_ids: tuple[str, ...]

    @property
    def size(self) -> int:
        """How many bytes its layers have as blobs."""
        return sum(len(self.blobs[digest]) for digest in self.layers)

    @property
    def manifest(self) -> dict[str, Any]:
        """The (first) manifest, decoded."""
        document: dict[str, Any] = json.loads(self.blobs[self.manifest_digest])
        if "manifests" in document:
            document = json.loads(self.blobs[document["manifests"][0]["digest"]])
        return document


def digest_of(data: bytes) -> str:
    """Return the digest of some content."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def image(
    layers: Sequence[Files | bytes] = ({"hello": b"hello\n"},),
    *,
    tag: str = "latest",
    compression: Compression = "gzip",
    media: Media = "oci",
    index: bool = False,
    platforms: Sequence[str] = ("linux/amd64", "linux/arm64"),
    config: Mapping[str, Any] | None = None,
    blobs: Sequence[bytes] | None = None,
) -> Image:
    """Build an image.

    Args:
        layers: Bottom first; each a mapping from names (``dir/`` is a directory) to content, or the bytes of
            a tar.
        tag: Its tag.
        compression: Of every layer.
        media: Whose media types it uses.
        index: Put an index on top, with one manifest for each platform; they share the layers.
        platforms: As ``os/architecture[/variant]``; without an index, only the first counts.
        config: The config's ``config`` part, as ``{"Cmd": ["sh"]}``.
        blobs: The layers as somebody else compressed them.
    """
    tars = [tar(layer) if isinstance(layer, Mapping) else layer for layer in layers]
    packed = blobs or [compress(data, compression) for data in tars]
    diff_ids = tuple(digest_of(data) for data in tars)
    names = [digest_of(data) for data in packed]
    content = dict(zip(names, packed, strict=True))
    media_types: dict[str, str] = {}
    entries = []
    for platform in platforms if index else platforms[:1]:
        config_bytes = _config(platform, diff_ids, config or {})
        manifest = _manifest(config_bytes, content, names, media, compression)
        entry = _descriptor(_MANIFEST[media], manifest)
        content |= {digest_of(config_bytes): config_bytes, entry["digest"]: manifest}
        media_types[entry["digest"]] = _MANIFEST[media]
        entries.append({**entry, "platform": _platform(platform)})
    top = entries[0]["digest"]
    if index:
        document = _json({"schemaVersion": 2, "mediaType": _INDEX[media], "manifests": entries})
        top = digest_of(document)
        content[top] = document
        media_types[top] = _INDEX[media]
    return Image(
        blobs=content,
        media_types=media_types,
        manifest_digest=top,
        tag=tag,
        image_id=digest_of(_config(platforms[0], diff_ids, config or {})),
        layers=tuple(names),
        diff_ids=diff_ids,
    )


def tar(files: Files) -> bytes:
    """Return a tar with these entries in this order; a name that ends in ``/`` is a directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, value in files.items():
            entry = value if isinstance(value, File) else File(value, 0o755 if name.endswith("/") else 0o644)
            archive.addfile(_tar_info(name, entry), io.BytesIO(entry.content))
    return buffer.getvalue()


def noise(size: int, seed: int = 0) -> bytes:
    """Return bytes that do not compress; the same for the same seed."""
    source = random.Random(seed)
    return b"".join(source.randbytes(min(_NOISE_STEP, size - at)) for at in range(0, size, _NOISE_STEP))


def noise_layer(size: int, seed: int = 0) -> Files:
    """Return a layer whose blob is about `size` bytes, however it is compressed."""
    return {f"noise-{seed}": noise(size, seed)}


def compress(data: bytes, compression: Compression) -> bytes:
    """Return the same data, packed; zstd needs Python 3.14 or backports.zstd."""
    if compression == "gzip":
        return gzip.compress(data, compresslevel=1, mtime=0)
    if compression == "zstd":
        from backports import zstd  # noqa: PLC0415 - the one thing here that is not in every Python

        return zstd.compress(data, options={zstd.CompressionParameter.window_log: 23})  # as buildah's looks back
    return data


def write_layout(target: Path, *images: Image) -> Path:
    """Write images as an OCI image layout (image-spec, image-layout.md); return its directory."""
    directory = target / "blobs" / "sha256"
    directory.mkdir(parents=True, exist_ok=True)
    entries = []
    for each in images:
        for digest, data in each.blobs.items():
            (directory / digest.partition(":")[2]).write_bytes(data)
        entry = _descriptor(each.media_types[each.manifest_digest], each.blobs[each.manifest_digest])
        entries.append({**entry, "annotations": {"org.opencontainers.image.ref.name": each.tag}})
    (target / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
    (target / "index.json").write_bytes(_json({"schemaVersion": 2, "manifests": entries}))
    return target


def read_layout(source: Path) -> list[Image]:
    """Return the images of an OCI image layout, each with the blobs that it needs."""
    index = json.loads((source / "index.json").read_bytes())
    return [_read_image(source, entry) for entry in index["manifests"]]


def _read_image(source: Path, entry: dict[str, Any]) -> Image:
    blobs: dict[str, bytes] = {}
    media_types: dict[str, str] = {}
    manifests: list[dict[str, Any]] = []
    wanted = [entry]
    while wanted:
        descriptor = wanted.pop(0)
        digest = descriptor["digest"]
        blobs[digest] = (source / "blobs" / digest.replace(":", "/")).read_bytes()
        if descriptor["mediaType"] in {*_INDEX.values(), *_MANIFEST.values()}:
            document = json.loads(blobs[digest])
            media_types[digest] = descriptor["mediaType"]
            wanted += document.get("manifests") or [document["config"], *document["layers"]]
            manifests += [document] if "config" in document else []
    config = json.loads(blobs[manifests[0]["config"]["digest"]])
    return Image(
        blobs=blobs,
        media_types=media_types,
        manifest_digest=entry["digest"],
        tag=entry.get("annotations", {}).get("org.opencontainers.image.ref.name", "latest"),
        image_id=manifests[0]["config"]["digest"],
        layers=tuple(layer["digest"] for layer in manifests[0]["layers"]),
        diff_ids=tuple(config["rootfs"]["diff_ids"]),
    )


def _tar_info(name: str, entry: File) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name.rstrip("/"))
    info.mode, info.uid, info.gid, info.mtime = entry.mode, entry.uid, entry.gid, MTIME
    info.pax_headers = {
        f"SCHILY.xattr.{key}": value.decode("utf-8", "surrogateescape") for key, value in entry.xattrs.items()
    }
    if name.endswith("/"):
        info.type = tarfile.DIRTYPE
    elif entry.link:
        info.type, info.linkname = tarfile.SYMTYPE, entry.link
    elif entry.hard_link:
        info.type, info.linkname = tarfile.LNKTYPE, entry.hard_link
    else:
        info.size = len(entry.content)
    return info


def _config(platform: str, diff_ids: Sequence[str], config: Mapping[str, Any]) -> bytes:
    return _json(
        {
            "created": CREATED,
            **_platform(platform),
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
            "history": [{"created": CREATED, "created_by": f"layer {i}"} for i in range(len(diff_ids))],
        }
    )


def _manifest(
    config: bytes, content: Mapping[str, bytes], layers: Sequence[str], media: Media, compression: Compression
) -> bytes:
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST[media],
            "config": _descriptor(_CONFIG[media], config),
            "layers": [
                {"mediaType": _LAYER[media, compression], "digest": name, "size": len(content[name])} for name in layers
            ],
        }
    )


def _platform(text: str) -> dict[str, str]:
    return dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))


def _descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
