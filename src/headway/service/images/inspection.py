"""Gathers everything known about an image: `docker image inspect` (moby-behaviour 6.4)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from headway.oci.digest import DiffID, ImageID
from headway.oci.image_config import ImageConfig
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.records import ImageRecord
from headway.service.images.lookup import Lookup
from headway.service.stores import Records


class ImageDetails(msgspec.Struct, frozen=True, kw_only=True):
    """The facts that `docker image inspect` shows; whoever shows them gives the fields Docker's names.

    Attributes:
        image_id: Digest of its config.
        tags: Sorted by their full spelling.
        digests: Digest references, sorted likewise.
        parent: The image it was made from here; None if it was pulled.
        comment: The comment in the config, or in its last step.
        created: RFC 3339 as the config writes it; empty if it does not.
        author: Who built it.
        docker_version: The builder's version, if an old builder recorded it.
        container: The container that it was committed from; empty if there is none.
        container_config: How that container was to run.
        config: How its containers run, as written; None if the config says nothing.
        platform: As the config spells it.
        size: Sum of its layers as Docker counts.
        diff_ids: Its layers, bottom first.
        driver: Name of the storage driver.
        driver_data: Where the layers are, by Moby's keys.
        last_tagged: When it was tagged here, seconds since the epoch; 0 after a pull.
    """

    image_id: ImageID
    tags: tuple[Reference, ...]
    digests: tuple[Reference, ...]
    parent: ImageID | None
    comment: str
    created: str
    author: str
    docker_version: str
    config: Mapping[str, object] | None
    platform: Platform
    size: int
    diff_ids: tuple[DiffID, ...]
    driver: str
    driver_data: Mapping[str, str]
    last_tagged: float
    container: str = ""
    container_config: Mapping[str, object] = {}


def details_of(records: Records, word: str, *, driver: str = "overlay2") -> ImageDetails:
    """Return everything known about an image.

    Args:
        records: Where it is.
        word: Its name or its ID.
        driver: Name of the storage driver.

    Raises:
        InvalidReferenceError: It is neither a name nor an ID.
        StoreCorruptError: Its config is damaged.
        NotFoundError: There is none, or its layers are gone.
    """
    lookup = Lookup(records)
    record = lookup.find(word)
    config = lookup.config(record)
    names = records.references.of(record.image_id)
    return ImageDetails(
        image_id=record.image_id,
        tags=tuple(name for name in names if name.digest is None),
        digests=tuple(name for name in names if name.digest is not None),
        parent=record.parent,
        comment=_comment(config),
        created=record.created,
        author=config.author,
        docker_version=_text(config.document.get("docker_version")),
        config=config.config if config.document.get("config") is not None else None,
        platform=config.platform,
        size=record.size,
        diff_ids=config.diff_ids,
        driver=driver,
        driver_data=_overlay_data(records, record) if driver == "overlay2" else {},
        last_tagged=record.last_tagged,
        container=_text(config.document.get("container")),
        container_config=_mapping(config.document.get("container_config")),
    )


def _overlay_data(records: Records, record: ImageRecord) -> dict[str, str]:
    trees = records.layers.trees(record.chain_id)
    paths = list(dict.fromkeys(str(tree.path) for tree in reversed(trees)))  # the kernel stacks none twice
    data = {"UpperDir": paths[0]} if paths else {}
    return data | ({"LowerDir": ":".join(paths[1:])} if len(paths) > 1 else {})


def _comment(config: ImageConfig) -> str:
    own = _text(config.document.get("comment"))
    return own or (config.history[-1].comment if config.history else "")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
