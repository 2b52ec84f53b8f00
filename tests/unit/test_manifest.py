"""Manifests and indexes: what they are taken for, what is refused, and which entry is chosen."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import HeadwayError, InvalidDocumentError, UnsupportedError
from headway.oci import media_types
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.oci.manifest import MAX_MANIFEST_BYTES, Index, Manifest, parse_manifest
from headway.oci.media_types import (
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    DOCKER_SCHEMA1,
    DOCKER_SCHEMA1_SIGNED,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
)
from headway.oci.platform import Platform


def entry(name: str, media_type: str = "", **changes: object) -> dict[str, Any]:
    data = name.encode()
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)} | changes


def manifest_document(**changes: object) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "config": entry("config", OCI_CONFIG),
        "layers": [entry("layer 1", OCI_LAYER_ZSTD), entry("layer 2", DOCKER_LAYER_GZIP)],
    } | changes


def index_document(*entries: dict[str, Any], **changes: object) -> dict[str, Any]:
    return {"schemaVersion": 2, "manifests": list(entries)} | changes


def parsed(document: object, media_type: str = "") -> Manifest | Index:
    return parse_manifest(msgspec.json.encode(document), media_type)


def descriptor(name: str, media_type: str) -> Descriptor:
    return Descriptor(media_type=media_type, digest=Digest.of(name.encode()), size=len(name))


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_a_manifest_names_its_config_and_its_layers(media_type: str) -> None:
    document = manifest_document(mediaType=media_type, annotations={"a": "b"}, unknown={"y": []})

    manifest = parsed(document, media_type)

    data = msgspec.json.encode(document)
    assert manifest == Manifest(
        media_type=media_type,
        data=data,
        digest=Digest.of(data),
        config=descriptor("config", OCI_CONFIG),
        layers=(descriptor("layer 1", OCI_LAYER_ZSTD), descriptor("layer 2", DOCKER_LAYER_GZIP)),
    )


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_MANIFEST_LIST])
def test_an_index_names_its_manifests(media_type: str) -> None:
    document = index_document(
        entry("1", OCI_MANIFEST, platform={"os": "linux", "architecture": "arm64"}),
        entry("2", "application/x"),
    )

    index = parsed(document, media_type)

    data = msgspec.json.encode(document)
    assert index == Index(
        media_type=media_type,
        data=data,
        digest=Digest.of(data),
        manifests=(
            Descriptor(media_type=OCI_MANIFEST, digest=Digest.of(b"1"), size=1, platform=Platform("linux", "arm64")),
            descriptor("2", "application/x"),
        ),
    )


def test_the_bytes_are_kept_as_they_came() -> None:
    data = b" \n" + msgspec.json.encode(manifest_document()) + b"\r\n"

    manifest = parse_manifest(data, OCI_MANIFEST)

    assert (manifest.data, manifest.digest) == (data, Digest.of(data))


@pytest.mark.parametrize(
    ("document", "came_as", "expected"),
    [
        (manifest_document(), f"{DOCKER_MANIFEST}; charset=utf-8", DOCKER_MANIFEST),
        (manifest_document(), OCI_MANIFEST.upper(), OCI_MANIFEST),
        (manifest_document(mediaType=DOCKER_MANIFEST), "", DOCKER_MANIFEST),
        (manifest_document(mediaType=DOCKER_MANIFEST), "application/json", DOCKER_MANIFEST),
        (manifest_document(mediaType=OCI_MANIFEST), "text/plain; charset=utf-8", OCI_MANIFEST),
        (index_document(mediaType=DOCKER_MANIFEST_LIST), "application/octet-stream", DOCKER_MANIFEST_LIST),
        (manifest_document(), "", OCI_MANIFEST),
        (index_document(), "application/json", OCI_INDEX),
    ],
)
def test_the_kind_is_by_content_type_then_by_the_body_then_by_its_shape(
    document: object, came_as: str, expected: str
) -> None:
    assert parsed(document, came_as).media_type == expected


@pytest.mark.parametrize(
    ("document", "came_as", "message"),
    [
        (manifest_document(mediaType=OCI_MANIFEST), DOCKER_MANIFEST, f"says that it is '{OCI_MANIFEST}'"),
        (manifest_document(mediaType=OCI_INDEX), OCI_MANIFEST, f"says that it is '{OCI_INDEX}'"),
        (manifest_document(manifests=[]), OCI_MANIFEST, "it is an image manifest and has 'manifests'"),
        (manifest_document(manifests=None), "", "it is an index and has 'config'"),
        (index_document(layers=[]), OCI_INDEX, "it is an index and has 'layers'"),
        (index_document(config=None), DOCKER_MANIFEST_LIST, "it is an index and has 'config'"),
    ],
)
def test_a_document_with_two_meanings_is_refused(document: object, came_as: str, message: str) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        parsed(document, came_as)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("document", "came_as"),
    [
        ({}, DOCKER_SCHEMA1),
        ({}, f"{DOCKER_SCHEMA1_SIGNED}; charset=utf-8"),
        ({"mediaType": DOCKER_SCHEMA1}, "application/json"),
        ({"schemaVersion": 1, "fsLayers": [], "history": []}, "application/json"),
        (manifest_document(schemaVersion=1), DOCKER_MANIFEST),
        (manifest_document(fsLayers=[]), OCI_MANIFEST),
    ],
)
def test_schema_1_is_refused_by_name(document: object, came_as: str) -> None:
    with pytest.raises(UnsupportedError, match="schema 1, which is no longer supported"):
        parsed(document, came_as)


@pytest.mark.parametrize(
    ("document", "came_as", "message"),
    [
        (manifest_document(), "application/vnd.new+json", "documents of type 'application/vnd.new+json'"),
        (manifest_document(mediaType="application/x"), "", "documents of type 'application/x'"),
        (manifest_document(schemaVersion=3), OCI_MANIFEST, "manifests with schemaVersion 3"),
        (index_document(schemaVersion="2"), OCI_INDEX, "manifests with schemaVersion '2'"),
    ],
)
def test_what_headway_does_not_know_is_unsupported(document: object, came_as: str, message: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        parsed(document, came_as)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("document", "came_as", "message"),
    [
        ([], OCI_MANIFEST, "the manifest must be an object, not a list"),
        ({}, OCI_MANIFEST, "the manifest has no config"),
        ({"layers": []}, "", "the manifest has no config"),
        (manifest_document(config=None), "", "the manifest has no config"),
        ({"config": entry("c")}, "", "the manifest has no layers"),
        ({}, OCI_INDEX, "the manifest has no manifests"),
        ({}, "", "it is neither an image manifest nor an index: it lists no layers and no manifests"),
        (manifest_document(mediaType=5), OCI_MANIFEST, "mediaType must be a string, not a number"),
        (manifest_document(layers={}), OCI_MANIFEST, "layers must be a list, not an object"),
        (manifest_document(layers=[entry("a"), None]), "", "layers[1] must be an object, not null"),
        (manifest_document(config=entry("c", size=-1)), "", "config.size must be a number of bytes"),
        (
            index_document(entry("a", digest="x")),
            "",
            "manifests[0].digest: invalid checksum digest format: 'x'",
        ),
    ],
)
def test_what_headway_relies_on_must_be_there(document: object, came_as: str, message: str) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        parsed(document, came_as)

    assert str(caught.value) == message


@pytest.mark.parametrize("document", [manifest_document(layers=None, schemaVersion=None), manifest_document(layers=[])])
def test_an_image_may_have_no_layers(document: object) -> None:
    manifest = parsed(document)

    assert isinstance(manifest, Manifest)
    assert manifest.layers == ()


def test_a_manifest_may_be_as_long_as_the_limit_and_no_longer() -> None:
    data = msgspec.json.encode(manifest_document()).ljust(MAX_MANIFEST_BYTES)

    assert parse_manifest(data, OCI_MANIFEST).data is data
    with pytest.raises(InvalidDocumentError, match="4194305 bytes long; 4194304 are allowed"):
        parse_manifest(data + b" ", OCI_MANIFEST)


def platform_entry(name: str, platform: str, media_type: str = OCI_MANIFEST, **changes: object) -> dict[str, Any]:
    system, architecture, *variant = platform.split("/")
    value = {"os": system, "architecture": architecture, "variant": "".join(variant)}
    return entry(name, media_type, platform=value) | changes


BARE = entry("bare", OCI_MANIFEST)
ATTESTATION = platform_entry("attestation", "unknown/unknown")
MARKED = entry("marked", OCI_MANIFEST, annotations={"vnd.docker.reference.type": "attestation-manifest"})
AMD64 = platform_entry("amd64", "linux/amd64")
AMD64_V3 = platform_entry("amd64 v3", "linux/amd64/v3")
I386 = platform_entry("386", "linux/386")
ARM_V5 = platform_entry("arm v5", "linux/arm/v5")
ARM_V6 = platform_entry("arm v6", "linux/arm/v6")
ARM_V7 = platform_entry("arm v7", "linux/arm/v7")
ARM64 = platform_entry("arm64", "linux/arm64/v8", DOCKER_MANIFEST)
ARM64_AGAIN = platform_entry("arm64 again", "linux/aarch64")
NESTED = platform_entry("nested", "linux/riscv64", DOCKER_MANIFEST_LIST)
ODD = platform_entry("odd", "linux/riscv64", "application/x")
WINDOWS = platform_entry("windows", "windows/amd64")


@pytest.mark.parametrize(
    ("wanted", "entries", "chosen"),
    [
        ("linux/amd64", [WINDOWS, AMD64_V3, I386, AMD64], AMD64),
        ("linux/amd64/v4", [AMD64, AMD64_V3], AMD64_V3),
        ("linux/amd64", [AMD64_V3, I386], I386),
        ("linux/amd64", [AMD64_V3], None),
        ("linux/arm/v7", [ARM_V5, ARM_V6, ARM_V7], ARM_V7),
        ("linux/arm/v7", [ARM64, ARM_V5, ARM_V6], ARM_V6),
        ("linux/arm/v6", [ARM_V7, ARM_V5], ARM_V5),
        ("linux/arm/v5", [ARM_V7, ARM_V6], None),
        ("linux/arm64", [ARM_V7, ARM64, ARM64_AGAIN], ARM64),
        ("linux/arm64", [ARM_V6, ARM_V7], ARM_V7),
        ("linux/arm64", [BARE, ARM64], ARM64),
        ("linux/arm64", [AMD64, BARE, entry("bare too", OCI_MANIFEST)], BARE),
        ("linux/arm64", [ATTESTATION, MARKED], None),
        ("unknown/unknown", [ATTESTATION], None),
        ("linux/riscv64", [ODD, NESTED], NESTED),
        ("linux/riscv64", [ODD, entry("untyped")], None),
        ("linux/amd64", [], None),
    ],
)
def test_the_nearest_variant_is_chosen_and_then_the_first(
    wanted: str, entries: list[dict[str, Any]], chosen: dict[str, Any] | None
) -> None:
    index = parsed(index_document(*entries))

    assert isinstance(index, Index)
    best = index.choose(Platform.parse(wanted))

    assert (best and best.digest) == (chosen and chosen["digest"])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5) | st.just(str(Digest.of(b""))),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["digest", "size", "mediaType", "platform", "os", "annotations", "urls", "x"]), inner
    ),
    max_leaves=8,
)  # fmt: skip
kinds = st.sampled_from(["", "text/html", OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_SCHEMA1])
loose_documents = st.dictionaries(
    st.sampled_from(
        ["schemaVersion", "mediaType", "config", "layers", "manifests", "annotations", "subject", "fsLayers"]
    ),
    json_values | kinds | st.just(2) | st.lists(st.just(AMD64) | st.just(BARE) | json_values, max_size=3),
)


@given(loose_documents, kinds)
def test_any_json_is_a_manifest_or_refused(document: dict[str, Any], came_as: str) -> None:
    try:
        manifest = parsed(document, came_as)
    except HeadwayError:
        return

    if isinstance(manifest, Index):
        manifest.choose(Platform("linux", "amd64"))
    assert manifest.digest == Digest.of(manifest.data)


@given(st.binary(), kinds)
def test_any_bytes_are_a_manifest_or_refused(data: bytes, came_as: str) -> None:
    with pytest.raises(HeadwayError):
        parse_manifest(data, came_as)


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", True),
        (OCI_LAYER_ZSTD, False),
        ("", False),
    ],
)
def test_foreign_layers_are_known_by_their_type(media_type: str, *, expected: bool) -> None:
    assert media_types.is_foreign_layer(media_type) is expected


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        (OCI_CONFIG, True),
        (DOCKER_CONFIG, True),
        ("application/octet-stream", True),
        ("", True),
        ("application/vnd.docker.plugin.v1+json", False),
        ("application/vnd.oci.empty.v1+json", False),
    ],
)
def test_an_images_config_is_told_from_an_artifacts(media_type: str, *, expected: bool) -> None:
    assert media_types.is_image_config(media_type) is expected
