"""Configs of images that are made here."""

from __future__ import annotations

import json

from headway.oci.digest import DiffID, Digest
from headway.oci.image_config import ImageConfig
from headway.oci.made_image import Made, committed_image, imported_image
from headway.oci.platform import Platform

LAYER = DiffID(Digest.of(b"layer"))
ARM = Platform("linux", "arm64", "v8")
MADE = Made(created="2026-01-02T03:04:05Z", comment="why")


def test_what_an_import_does_not_know_is_left_out() -> None:
    document = json.loads(imported_image({"User": "app", "Env": None}, LAYER, Platform("linux", "amd64"), MADE))

    assert set(document) == {"architecture", "comment", "config", "created", "history", "os", "rootfs"}
    assert (document["config"]["User"], document["config"]["Env"]) == ("app", None)


def test_a_commit_keeps_what_its_parent_says_of_platform_and_history() -> None:
    parent = {
        "architecture": "arm64",
        "variant": "v8",
        "os": "linux",
        "os.version": "10",
        "os.features": ["f"],
        "author": "somebody else",
        "history": [{"created_by": "x", "unknown": 1}],
        "rootfs": {"type": "layers", "diff_ids": [LAYER]},
    }

    document = json.loads(
        committed_image(
            ImageConfig.parse(json.dumps(parent).encode()),
            None,
            config={},
            container={"Cmd": ["x"]},
            container_id="c0ffee",
            platform=Platform("linux", "amd64"),
            made=MADE,
        )
    )

    assert [document[key] for key in ("architecture", "variant", "os.version", "os.features")] == [
        "arm64", "v8", "10", ["f"],
    ]  # fmt: skip
    assert "author" not in document
    assert document["history"] == [
        {"created_by": "x", "unknown": 1},
        {"created": "2026-01-02T03:04:05Z", "comment": "why", "empty_layer": True},
    ]
    assert document["rootfs"] == {"type": "layers", "diff_ids": [LAYER]}


def test_a_commit_of_nothing_is_for_this_machine() -> None:
    document = json.loads(
        committed_image(None, LAYER, config={}, container={}, container_id="c0ffee", platform=ARM, made=MADE)
    )

    assert (document["architecture"], document["variant"]) == ("arm64", "v8")
    assert (len(document["history"]), document["rootfs"]["diff_ids"]) == (1, [LAYER])
