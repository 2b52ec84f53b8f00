"""Blobs and manifests that are made for a push."""

from __future__ import annotations

import json

import pytest

from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.oci.manifest import Manifest, parse_manifest
from headway.oci.pushed import layer_type, pushed_manifest
from tests.fakes import images

OTHER = Descriptor(media_type="application/vnd.oci.image.layer.v1.tar+gzip", digest=Digest.of(b"other"), size=5)
CONFIG = Descriptor(media_type="", digest=Digest.of(b"config"), size=6)


def own(media: images.Media = "oci") -> Manifest:
    image = images.image([{"a": b"a"}, {"b": b"b"}], media=media)
    manifest = parse_manifest(image.blobs[image.manifest_digest], "")
    assert isinstance(manifest, Manifest)
    return manifest


def test_with_its_own_layers_a_manifest_stays_as_it_is() -> None:
    manifest = own()

    assert pushed_manifest(manifest, CONFIG, manifest.layers) is manifest


@pytest.mark.parametrize("media", ["oci", "docker"])
def test_with_another_layer_everything_else_stays(media: images.Media) -> None:
    manifest = own(media)
    before = json.loads(manifest.data)

    made = pushed_manifest(manifest, CONFIG, [manifest.layers[0], OTHER])

    after = json.loads(made.data)
    assert {**after, "layers": None} == {**before, "layers": None}
    assert after["layers"] == [
        before["layers"][0],
        {"mediaType": OTHER.media_type, "size": 5, "digest": str(OTHER.digest)},
    ]
    assert made.digest == Digest.of(made.data)


def test_the_urls_of_a_layer_that_may_not_be_distributed_stay() -> None:
    foreign = Descriptor(
        media_type="x", digest=Digest.of(b"f"), size=1, urls=("https://x.test/f",), annotations={"a": "b"}
    )

    [layer] = json.loads(pushed_manifest(None, CONFIG, [foreign]).data)["layers"]

    assert (layer["urls"], layer["annotations"]) == (["https://x.test/f"], {"a": "b"})


@pytest.mark.parametrize("layers", [[OTHER], []])
def test_an_image_that_was_made_here_is_pushed_as_docker_pushes_it(layers: list[Descriptor]) -> None:
    document = json.loads(pushed_manifest(None, CONFIG, layers).data)

    assert document["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert document["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json"
    assert len(document["layers"]) == len(layers)


def test_what_is_made_on_top_of_layers_that_dockers_kind_cannot_name_is_pushed_as_oci_has_it() -> None:
    zstd = Descriptor(
        media_type="application/vnd.docker.image.rootfs.diff.tar.zstd",
        digest=Digest.of(b"zstd"),
        size=4,
        annotations={"a": "b"},
    )
    gzip = Descriptor(media_type=layer_type(None), digest=Digest.of(b"gzip"), size=4)

    document = json.loads(pushed_manifest(None, CONFIG, [zstd, gzip]).data)

    assert document["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert document["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json"
    assert [layer["mediaType"].rpartition(".")[2] for layer in document["layers"]] == ["tar+zstd", "tar+gzip"]
    assert [layer.get("annotations") for layer in document["layers"]] == [{"a": "b"}, None]


def test_layers_are_called_as_the_image_calls_them() -> None:
    assert layer_type(own("oci")) == "application/vnd.oci.image.layer.v1.tar+gzip"
    assert layer_type(own("docker")) == "application/vnd.docker.image.rootfs.diff.tar.gzip"
    assert layer_type(None) == "application/vnd.docker.image.rootfs.diff.tar.gzip"
