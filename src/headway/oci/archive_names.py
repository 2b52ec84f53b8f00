"""Names of files in archives of images, and the digests that some of them contain.

Rule: nothing is opened by such a name, and a name that leads out of the archive is refused.
"""

from __future__ import annotations

import posixpath

from headway.errors import InvalidArchiveError
from headway.oci.digest import DiffID, Digest, digest_fault


def clean_name(name: str) -> str:
    """Return the normal form of a file's name in an archive: ``./a//x/../b`` is ``a/b``, the root is ``""``.

    Raises:
        InvalidArchiveError: It leads out of the archive.
    """
    clean = posixpath.normpath(name.lstrip("/"))  # below "/", what leads out would not show
    if clean.split("/", 1)[0] == ".." or "\0" in name:
        raise InvalidArchiveError(f"it names a file outside of itself: {name[:255]!r}")
    return "" if clean == "." else clean


def link_target(name: str, target: str) -> str:
    """Return the file that a symlink called `name` stands for.

    Raises:
        InvalidArchiveError: It leads out of the archive.
    """
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if target.startswith("/") or joined.startswith("../") or joined == "..":
        raise InvalidArchiveError(f"{name[:255]!r} leads out of it, to {target[:255]!r}")
    return joined


def promised_digest(name: str) -> Digest | None:
    """Return the digest that a blob's file has by its name, ``blobs/<algorithm>/<hex>``; None for other names."""
    directory, _, encoded = name.rpartition("/")
    prefix, _, algorithm = directory.rpartition("/")
    text = f"{algorithm}:{encoded}"
    return Digest(text) if prefix == "blobs" and not digest_fault(text) else None


def promised_diff_id(name: str) -> DiffID | None:
    """Return the layer that a file holds by its name, ``<hex>.tar``, as podman and skopeo write it; else None."""
    digest = config_digest(f"{name.removesuffix('.tar')}.json") if name.endswith(".tar") else None
    return None if digest is None else DiffID(digest)


def config_digest(name: str) -> Digest | None:
    """Return the digest that a config's file has by its name, ``<hex>.json`` or a blob's; None for other names."""
    text = f"sha256:{name.removesuffix('.json')}"
    if name.endswith(".json") and not digest_fault(text):
        return Digest(text)
    return promised_digest(name)
