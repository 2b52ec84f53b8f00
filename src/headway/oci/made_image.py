"""Makes the configs of images that are imported from a tar, or committed from a container.

Rule 1: a config has the keys that Docker writes (Moby image/image.go, NewChildImage; daemon/images/image_import.go),
        except ``docker_version``, as Docker did not make it.
Rule 2: the same facts give the same bytes, and so the same image ID.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from headway.oci.digest import DiffID
from headway.oci.image_config import ImageConfig
from headway.oci.platform import Platform
from headway.oci.run_config import Config, complete


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """The step that makes an image, for its history.

    Attributes:
        created: When it was made, RFC 3339.
        author: Who made it; empty where that is not given.
        created_by: The command that made it.
        comment: Any text.
    """

    created: str
    author: str = ""
    created_by: str = ""
    comment: str = ""

    def entry(self, *, empty_layer: bool) -> dict[str, object]:
        """Return the step as an entry of a config's history."""
        texts = {"author": self.author, "created_by": self.created_by, "comment": self.comment}
        entry: dict[str, object] = {"created": self.created, **{key: text for key, text in texts.items() if text}}
        return entry | ({"empty_layer": True} if empty_layer else {})


def imported_image(config: Config, diff_id: DiffID, platform: Platform, made: Made) -> bytes:
    """Return the config of an imported image, which has one layer."""
    return _written(
        {
            **_platform(platform),
            "comment": made.comment,
            "config": complete(config),
            "created": made.created,
            "history": [made.entry(empty_layer=False)],
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        }
    )


def committed_image(
    parent: ImageConfig | None,
    diff_id: DiffID | None,
    *,
    config: Config,
    container: Config,
    container_id: str,
    platform: Platform,
    made: Made,
) -> bytes:
    """Return the config of an image that is committed from a container.

    Args:
        parent: Config of the container's image; None where it has none.
        diff_id: The layer of the container's changes; None where it has changed nothing.
        config: Config of containers of the new image.
        container: Config of this container.
        container_id: ID of the container.
        platform: Platform of the new image if there is no parent.
        made: The step that makes the image.
    """
    history, diff_ids, more = ((), (), {}) if parent is None else _inherited(parent)
    return _written(
        {
            **_platform(platform if parent is None else parent.platform),
            **more,
            "author": made.author,
            "config": complete(config),
            "container": container_id,
            "container_config": complete(container),
            "created": made.created,
            "history": [*history, made.entry(empty_layer=diff_id is None)],
            "rootfs": {"type": "layers", "diff_ids": [*diff_ids, *([] if diff_id is None else [diff_id])]},
        }
    )


def _inherited(parent: ImageConfig) -> tuple[tuple[object, ...], tuple[DiffID, ...], dict[str, object]]:
    history = parent.document.get("history")
    keys = ("os.version", "os.features")
    return (
        tuple(history) if isinstance(history, list) else (),
        parent.diff_ids,
        {key: parent.document.get(key) for key in keys},
    )


def _platform(platform: Platform) -> dict[str, object]:
    return {"architecture": platform.architecture, "os": platform.os, "variant": platform.variant}


def _written(document: Mapping[str, Any]) -> bytes:
    said = {key: document[key] for key in sorted(document) if document[key] not in (None, "")}
    return msgspec.json.encode(said, enc_hook=str)  # digests are a subclass of str
