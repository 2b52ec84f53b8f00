"""Image configs: what an image runs and of which layers it is made (image-spec, config.md).

Rule 1: the bytes are the truth; their digest is the image ID. What Headway does not need stays in `document`.
Rule 2: null means missing, as in Go, which writes many nulls.
"""

from __future__ import annotations

from typing import Final

import msgspec

from headway.errors import InvalidDocumentError, RequestError, UnsupportedError
from headway.oci.descriptor import as_digest
from headway.oci.digest import DiffID, Digest, ImageID
from headway.oci.document import (
    Document,
    as_object,
    decode_object,
    flag_at,
    list_at,
    object_at,
    text_at,
    text_map_at,
    texts_at,
)
from headway.oci.platform import Platform
from headway.oci.run_config import checked

MAX_CONFIG_BYTES: Final = 8 * 1024 * 1024

MAX_LAYERS: Final = 125
"""Most layers of an image, as in Moby (moby-behaviour 4.1): overlayfs mounts no more than a few hundred."""


def check_config_size(size: int) -> None:
    """Make sure that a config of so many bytes is worth fetching.

    Raises:
        InvalidDocumentError: It would be refused once it is here.
    """
    if size > MAX_CONFIG_BYTES:
        raise InvalidDocumentError(f"the image's config is larger than {MAX_CONFIG_BYTES} bytes")


def check_depth(layers: int) -> None:
    """Make sure that a chain of so many layers can be kept and mounted.

    Raises:
        UnsupportedError: They are too many.
    """
    if layers > MAX_LAYERS:
        raise UnsupportedError(f"max depth exceeded: {layers} layers, where {MAX_LAYERS} can be mounted")


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One step of how an image was built.

    Attributes:
        created: When, RFC 3339 as written; empty where it is not known.
        created_by: The command.
        comment: Free text.
        empty_layer: Whether the step made no layer.
    """

    created: str = ""
    created_by: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The config of one image.

    Attributes:
        image_id: SHA-256 of the bytes.
        os: As written; empty where the config does not say.
        architecture: As written.
        variant: As written.
        os_version: Of Windows.
        os_features: Of Windows.
        created: When it was built, RFC 3339 as written and not checked; empty where it is not known.
        author: Who built it.
        diff_ids: Its layers, bottom layer first.
        history: Oldest first.
        config: How its containers run: ``Env``, ``Cmd``, ``Entrypoint``, ``Labels`` and so on, as written.
        labels: ``config.Labels``.
        document: The whole config, as written.
    """

    image_id: ImageID
    os: str
    architecture: str
    variant: str
    os_version: str
    os_features: tuple[str, ...]
    created: str
    author: str
    diff_ids: tuple[DiffID, ...]
    history: tuple[HistoryEntry, ...]
    config: dict[str, object]
    labels: dict[str, str]
    document: dict[str, object]

    @classmethod
    def parse(cls, data: bytes) -> ImageConfig:
        """Return the config that `data` holds.

        Raises:
            InvalidDocumentError: Too large, not JSON, without a root file system of layers, with more history than
                layers (moby-behaviour 3.3, 5.1), or with something of another kind than it has to be.
            UnsupportedError: It names a layer by another digest than the one that layers are kept by.
        """
        document = decode_object(data, "image configuration", MAX_CONFIG_BYTES)
        diff_ids = _diff_ids(document)
        history = tuple(
            _history_entry(entry, f"history[{index}]") for index, entry in enumerate(list_at(document, "history"))
        )
        if sum(not entry.empty_layer for entry in history) > len(diff_ids):
            raise InvalidDocumentError("too many non-empty layers in History section")
        config = object_at(document, "config")
        labels = text_map_at(config, "Labels", "config")
        try:
            checked(config)
        except RequestError as error:  # whoever makes a container of it would fail then
            raise InvalidDocumentError(str(error)) from None
        return cls(
            image_id=ImageID(Digest.of(data)),
            os=text_at(document, "os"),
            architecture=text_at(document, "architecture"),
            variant=text_at(document, "variant"),
            os_version=text_at(document, "os.version"),
            os_features=texts_at(document, "os.features"),
            created=text_at(document, "created"),
            author=text_at(document, "author"),
            diff_ids=diff_ids,
            history=history,
            config=config,
            labels=labels,
            document=document,
        )

    @property
    def platform(self) -> Platform:
        """What it runs on; Linux where the config names no operating system, as Moby reads it on Linux."""
        return Platform(self.os or "linux", self.architecture, self.variant, self.os_version, self.os_features)


def _diff_ids(document: Document) -> tuple[DiffID, ...]:
    rootfs = object_at(document, "rootfs")
    if not rootfs or text_at(rootfs, "type", "rootfs") not in ("layers", ""):
        raise InvalidDocumentError("invalid rootfs in image configuration")
    return tuple(
        _diff_id(as_digest(text, f"rootfs.diff_ids[{index}]"))
        for index, text in enumerate(texts_at(rootfs, "diff_ids", "rootfs"))
    )


def _diff_id(digest: Digest) -> DiffID:
    """Return the name of a layer: image-spec lets it be any digest, and trees, chains and recipes have one only."""
    if digest.algorithm != "sha256":
        raise UnsupportedError(f"its config names layers by {digest.algorithm}: only diff IDs by sha256 are supported")
    return DiffID(digest)


def _history_entry(value: object, where: str) -> HistoryEntry:
    entry = as_object(value, where)
    return HistoryEntry(
        created=text_at(entry, "created", where),
        created_by=text_at(entry, "created_by", where),
        comment=text_at(entry, "comment", where),
        empty_layer=flag_at(entry, "empty_layer", where),
    )
