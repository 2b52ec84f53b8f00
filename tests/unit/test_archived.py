"""What the documents of archives mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from headway.errors import InvalidArchiveError, InvalidDocumentError, NotFoundError, UnsupportedError
from headway.oci.archive_names import clean_name, config_digest, link_target, promised_diff_id, promised_digest
from headway.oci.archived import ArchivedImage, archived_images
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.oci.image_archive import SavedImage, documents, made_manifest, tar_descriptor
from headway.oci.platform import Platform
from headway.oci.reference import Reference

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
HEX = "a" * 64
DIGEST = Digest(f"sha256:{HEX}")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
FULL, REF = "io.containerd.image.name", "org.opencontainers.image.ref.name"


class Layout:
    """An OCI layout under construction."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def put(self, document: object, media_type: str = "", **more: object) -> dict[str, Any]:
        """Add a blob; return its descriptor."""
        data = json.dumps(document).encode()
        digest = Digest.of(data)
        self.files[f"blobs/sha256/{digest.hex}"] = data
        return {"mediaType": media_type, "digest": str(digest), "size": len(data), **more}

    def manifest(self, architecture: str = "amd64", config_type: str = "", **more: object) -> dict[str, Any]:
        """Add an image for an architecture; return its descriptor."""
        config = self.put({"architecture": architecture, "os": "linux", "rootfs": {}}, config_type)
        return self.put({"schemaVersion": 2, "config": config, "layers": []}, MANIFEST, **more)

    def index(self, *entries: object) -> dict[str, Any]:
        """Add a nested index."""
        return self.put({"schemaVersion": 2, "manifests": entries}, INDEX)

    def images(self, *entries: object, platform: Platform | None = None) -> list[ArchivedImage]:
        """Return the images of the layout with these entries."""
        files = {**self.files, "index.json": json.dumps({"manifests": entries}).encode()}
        return archived_images(files.get, platform, AMD64)


def named(entry: Mapping[str, object], **annotations: str) -> dict[str, object]:
    return {**entry, "annotations": {{"full": FULL, "ref": REF}[key]: text for key, text in annotations.items()}}


def names(images: Sequence[ArchivedImage]) -> list[list[str]]:
    return [[name.familiar for name in image.names] for image in images]


def architectures(layout: Layout, images: Sequence[ArchivedImage]) -> list[str]:
    return [json.loads(layout.files[image.config])["architecture"] for image in images]


# Names


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("a/b", "a/b"),
        ("./a//b/", "a/b"),
        ("/a", "a"),
        ("//a", "a"),
        (".", ""),
        ("/", ""),
        ("", ""),
        ("a/./b", "a/b"),
        ("a..b", "a..b"),
        ("a/../b", "b"),
        ("a/b/../../..c", "..c"),
        ("a/..", ""),
    ],
)
def test_a_name_loses_what_changes_nothing(name: str, clean: str) -> None:
    assert clean_name(name) == clean


@pytest.mark.parametrize("name", ["..", "../a", "/../a", "a/../../b", "a\0b"])
def test_a_name_that_leads_out_is_refused(name: str) -> None:
    with pytest.raises(InvalidArchiveError, match="outside"):
        clean_name(name)


def test_links_lead_to_files_of_the_archive() -> None:
    assert link_target("a/layer.tar", "../b/layer.tar") == "b/layer.tar"
    assert link_target("layer.tar", "b") == "b"
    for target in ("/b", "../../b", "../.."):
        with pytest.raises(InvalidArchiveError, match="leads out"):
            link_target("a/layer.tar", target)


def test_some_names_say_a_digest() -> None:
    assert promised_digest(f"blobs/sha256/{HEX}") == f"sha256:{HEX}"
    assert promised_digest(f"x/blobs/sha256/{HEX}") is None
    assert promised_digest("blobs/sha256/abc") is None
    assert promised_diff_id(f"{HEX}.tar") == f"sha256:{HEX}"
    assert promised_diff_id(f"{HEX}/layer.tar") is None
    assert promised_diff_id(HEX) is None
    assert config_digest(f"{HEX}.json") == f"sha256:{HEX}"
    assert config_digest(f"blobs/sha256/{HEX}") == f"sha256:{HEX}"
    assert config_digest("config.json") is None


# docker-archive


def items(*found: object) -> list[ArchivedImage]:
    return archived_images({"manifest.json": json.dumps(found).encode()}.get, None, AMD64)


def test_an_item_is_an_image() -> None:
    image = {"Config": "./c.json", "RepoTags": ["a:1", "b.io/x:2"], "Layers": ["x/layer.tar", "/y/layer.tar"]}

    (found,) = items({**image, "Parent": f"sha256:{HEX}", "LayerSources": {}})

    assert (found.config, found.layers) == ("c.json", ("x/layer.tar", "y/layer.tar"))
    assert [str(name) for name in found.names] == ["docker.io/library/a:1", "b.io/x:2"]
    assert found.parent == f"sha256:{HEX}"
    assert found.manifest is None


def test_no_names_and_no_images_are_nothing() -> None:
    assert items({"Config": "c.json", "RepoTags": None, "Layers": None}) == [ArchivedImage(config="c.json", layers=())]
    assert archived_images({"manifest.json": b"null"}.get, None, AMD64) == []
    assert items({"Config": "c.json", "Parent": "nonsense"})[0].parent is None


@pytest.mark.parametrize("tag", ["UPPER", "a", f"a@sha256:{HEX}", "a b:1", ""])
def test_a_name_that_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(InvalidArchiveError, match="invalid tag"):
        items({"Config": "c.json", "RepoTags": [tag], "Layers": []})


def test_an_index_beside_the_items_adds_the_manifests() -> None:
    layout = Layout()
    entry = layout.manifest()
    config = json.loads(layout.files[f"blobs/sha256/{entry['digest'][7:]}"])["config"]["digest"]
    item = {"Config": f"blobs/sha256/{config[7:]}", "RepoTags": ["a:1"], "Layers": []}
    files = {
        **layout.files,
        "index.json": json.dumps({"manifests": [entry]}).encode(),
        "manifest.json": json.dumps([item]).encode(),
    }

    (found,) = archived_images(files.get, None, AMD64)

    assert found.manifest is not None
    assert found.manifest.digest == entry["digest"]
    assert archived_images(files.get, AMD64, ARM64)[0].names == ()


# OCI layout


def test_names_are_taken_from_annotations() -> None:
    layout = Layout()
    entry = layout.manifest()

    assert names(layout.images(named(entry, full="docker.io/library/a:1", ref="1"))) == [["a:1"]]
    assert names(layout.images(named(entry, ref="example.com/a"))) == [["example.com/a:latest"]]
    assert names(layout.images(named(entry, ref="a:1"), named(entry, ref="b:1"))) == [["a:1", "b:1"]]
    assert names(layout.images(named(entry, ref="latest"))) == [[]]
    assert names(layout.images(named(entry, ref="release/Final"))) == [[]]  # a good ref.name, and no image's
    assert names(layout.images(named(entry, full=f"a@sha256:{HEX}"))) == [[]]
    with pytest.raises(InvalidArchiveError, match="UPPER"):
        layout.images(named(entry, full="UPPER:1"))


def test_one_image_for_several_platforms_is_one_choice() -> None:
    layout = Layout()
    amd, arm = layout.manifest("amd64"), layout.manifest("arm64")
    amd_said = {**amd, "platform": {"os": "linux", "architecture": "amd64"}}
    arm_said = {**arm, "platform": {"os": "linux", "architecture": "arm64"}}

    for entries in (
        [named(arm, ref="a:1"), named(amd, ref="a:1")],
        [arm_said, amd_said],
        [named(layout.index(arm_said, amd_said), ref="a:1")],
        [layout.index(layout.index(arm), amd)],
    ):
        assert architectures(layout, layout.images(*entries)) == ["amd64"]
        assert architectures(layout, layout.images(*entries, platform=ARM64)) == ["arm64"]
        with pytest.raises(NotFoundError, match=r"linux/s390x in .*: it is there for linux/amd64, linux/arm64"):
            layout.images(*entries, platform=Platform("linux", "s390x"))


def test_the_only_image_is_taken_whatever_it_is_for() -> None:
    layout = Layout()

    assert architectures(layout, layout.images(layout.manifest("arm64"))) == ["arm64"]
    with pytest.raises(NotFoundError, match="the archive"):
        layout.images(layout.manifest("arm64"), platform=AMD64)


def test_nameless_entries_are_images_of_their_own() -> None:
    layout = Layout()

    assert len(layout.images(layout.manifest("amd64"), layout.manifest("arm64"))) == 2


def test_a_platform_that_was_not_taken_along_is_no_fault() -> None:
    layout = Layout()
    amd = layout.manifest("amd64", platform={"os": "linux", "architecture": "amd64"})
    gone = {"mediaType": MANIFEST, "digest": f"sha256:{HEX}", "size": 1,
            "platform": {"os": "linux", "architecture": "arm64"}}  # fmt: skip

    assert architectures(layout, layout.images(layout.index(gone, amd))) == ["amd64"]
    with pytest.raises(NotFoundError, match="linux/arm64"):
        layout.images(layout.index(gone, amd), platform=ARM64)


def test_what_is_no_image_is_passed_over() -> None:
    layout = Layout()
    amd = layout.manifest()
    attestation = layout.manifest(platform={"os": "unknown", "architecture": "unknown"})
    chart = layout.manifest("helm", config_type="application/vnd.cncf.helm.config.v1+json")
    other = layout.put({"anything": 1}, "application/vnd.example+json")

    assert len(layout.images(amd, attestation)) == 1
    assert len(layout.images(named(layout.index(attestation, amd, chart, other), ref="a:1"))) == 1
    assert len(layout.images(chart, amd, platform=AMD64)) == 1
    with pytest.raises(UnsupportedError, match="no image"):
        layout.images(named(chart, ref="a:1"))


def test_what_is_missing_or_another_is_a_fault() -> None:
    layout = Layout()
    entry = layout.manifest()
    name = f"blobs/sha256/{entry['digest'][7:]}"

    with pytest.raises(InvalidArchiveError, match="missing"):
        layout.images({**entry, "digest": f"sha256:{HEX}"})
    with pytest.raises(InvalidDocumentError, match="digest"):
        layout.images({**entry, "digest": "nonsense"})
    with pytest.raises(InvalidArchiveError, match=f"is {entry['size']} bytes long instead of 7"):
        layout.images({**entry, "size": 7})
    without_config = layout.put(
        {"schemaVersion": 2, "config": {"mediaType": "", "digest": DIGEST, "size": 1}, "layers": []}, MANIFEST
    )
    assert len(layout.images(without_config)) == 1  # whoever loads it misses the config
    layout.files[name] += b" "
    with pytest.raises(InvalidArchiveError, match="not what its digest says"):
        layout.images(entry)


def test_nothing_known_is_a_fault() -> None:
    with pytest.raises(InvalidArchiveError, match="neither"):
        archived_images(lambda _: None, None, AMD64)
    with pytest.raises(UnsupportedError, match=r"Docker 1\.9"):
        archived_images({"repositories": b"{}"}.get, None, AMD64)
    with pytest.raises(UnsupportedError, match=r"skopeo's dir:"):
        archived_images({"manifest.json": b'{"schemaVersion":2,"layers":[]}'}.get, None, AMD64)
    with pytest.raises(InvalidArchiveError, match="no list"):
        archived_images({"manifest.json": b"{}"}.get, None, AMD64)
    with pytest.raises(InvalidArchiveError, match="not JSON"):
        archived_images({"index.json": b"["}.get, None, AMD64)
    with pytest.raises(InvalidArchiveError, match="not JSON"):
        archived_images({"manifest.json": b"[] and more"}.get, None, AMD64)
    with pytest.raises(InvalidArchiveError, match="bytes long"):
        archived_images({"index.json": b" " * (64 << 20) + b"{}"}.get, None, AMD64)


# What is written


def test_what_is_written_is_read_back() -> None:
    config = json.dumps({"os": "linux", "architecture": "arm", "variant": "v7", "rootfs": {}}).encode()
    image_id = Digest.of(config)
    diff_id = Digest(f"sha256:{HEX}")
    layers = (tar_descriptor(diff_id, 1024),)  # type: ignore[arg-type]  # any digest will do
    manifest = made_manifest(image_id, len(config), layers)  # type: ignore[arg-type]
    image = SavedImage(
        image_id=image_id,  # type: ignore[arg-type]
        platform=Platform("linux", "arm", "v7"),
        manifest=manifest,
        diff_ids=(diff_id,),  # type: ignore[arg-type]
        layers=layers,
        names=(Reference.parse("a:1"), Reference.parse("b.io/c:2")),
        parent=image_id,  # type: ignore[arg-type]
    )
    files = documents([image])
    files[f"blobs/sha256/{image_id.hex}"] = config
    files[f"blobs/sha256/{manifest.digest.hex}"] = manifest.data

    for platform in (None, Platform("linux", "arm", "v7")):
        (found,) = archived_images(files.get, platform, AMD64)
        assert found.config == f"blobs/sha256/{image_id.hex}"
        assert found.layers == (f"blobs/sha256/{HEX}",)
        assert found.names == image.names
        assert found.manifest == manifest
    assert json.loads(files["index.json"])["manifests"][0]["platform"] == {
        "architecture": "arm",
        "os": "linux",
        "variant": "v7",
    }
    assert json.loads(files["repositories"]) == {"a": {"1": HEX}, "b.io/c": {"2": HEX}}
    assert json.loads(files["manifest.json"])[0]["Parent"] == image_id
    assert documents([image]) == documents([image])


def test_what_a_registry_says_of_a_layer_goes_along() -> None:
    layer = Descriptor(
        media_type="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        digest=Digest(f"sha256:{HEX}"),
        size=1,
        urls=("https://example.com/layer",),
        annotations={"a": "b"},
    )
    image = SavedImage(
        image_id=DIGEST,  # type: ignore[arg-type]  # any digest will do
        platform=AMD64,
        manifest=made_manifest(DIGEST, 1, [layer]),  # type: ignore[arg-type]
        diff_ids=(DIGEST,),  # type: ignore[arg-type]
        layers=(layer,),
    )

    files = documents([image])

    (item,) = json.loads(files["manifest.json"])
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert item["RepoTags"] is None
    assert "annotations" not in entry
    assert item["LayerSources"][DIGEST]["urls"] == ["https://example.com/layer"]
    assert item["LayerSources"][DIGEST]["annotations"] == {"a": "b"}


def test_no_images_are_written_as_docker_does() -> None:
    files = documents([])

    assert files["manifest.json"] == b"null"
    assert "repositories" not in files
