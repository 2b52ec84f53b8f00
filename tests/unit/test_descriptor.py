"""Descriptors, and the documents they are read from."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from headway.errors import InvalidDocumentError
from headway.oci.descriptor import MAX_SIZE, Descriptor
from headway.oci.digest import Digest
from headway.oci.document import decode_object
from headway.oci.platform import Platform

DIGEST = Digest.of(b"content")


def document(**changes: object) -> dict[str, Any]:
    return {"mediaType": "application/x", "digest": str(DIGEST), "size": 7} | changes


def test_every_known_key_is_read() -> None:
    value = document(
        urls=["https://example.com/x"],
        annotations={"a": "b"},
        platform={
            "os": "windows",
            "architecture": "amd64",
            "variant": "v2",
            "os.version": "10.0",
            "os.features": ["win32k"],
        },
    )

    descriptor = Descriptor.from_document(value, "config")

    assert descriptor == Descriptor(
        media_type="application/x",
        digest=DIGEST,
        size=7,
        urls=("https://example.com/x",),
        annotations={"a": "b"},
        platform=Platform("windows", "amd64", "v2", "10.0", ("win32k",)),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"urls": None, "annotations": None, "platform": None},
        {"platform": {}},
        {"data": "Y29udGVudA==", "somethingNew": [1, {"a": None}]},
    ],
)
def test_nulls_and_unknown_keys_are_passed_over(changes: dict[str, Any]) -> None:
    descriptor = Descriptor.from_document(document(**changes), "config")

    assert descriptor == Descriptor(media_type="application/x", digest=DIGEST, size=7)


def test_a_missing_media_type_is_an_empty_one() -> None:
    descriptor = Descriptor.from_document({"digest": str(DIGEST), "size": 0}, "config")

    assert descriptor.media_type == ""


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "layers[2] must be an object, not null"),
        ([], "layers[2] must be an object, not a list"),
        ("x", "layers[2] must be an object, not a string"),
        (1.5, "layers[2] must be an object, not a number"),
        (True, "layers[2] must be an object, not a boolean"),
        ({"size": 1}, "layers[2].digest: missing"),
        (document(digest=None), "layers[2].digest: missing"),
        (document(digest=5), "layers[2].digest must be a string, not a number"),
        (document(digest="sha256:ab"), "layers[2].digest: invalid checksum digest length: 'sha256:ab'"),
        (document(digest="md5:ab"), "layers[2].digest: unsupported digest algorithm: 'md5:ab'"),
        (document(size=None), "layers[2].size must be a number of bytes"),
        (document(size=-1), "layers[2].size must be a number of bytes"),
        (document(size=MAX_SIZE + 1), "layers[2].size must be a number of bytes"),
        (document(size=7.0), "layers[2].size must be a number of bytes"),
        (document(size=True), "layers[2].size must be a number of bytes"),
        (document(size="7"), "layers[2].size must be a number of bytes"),
        (document(mediaType={}), "layers[2].mediaType must be a string, not an object"),
        (document(urls="x"), "layers[2].urls must be a list, not a string"),
        (document(urls=["x", 1]), "layers[2].urls[1] must be a string, not a number"),
        (document(annotations={"a": []}), "layers[2].annotations.a must be a string, not a list"),
        (document(platform="linux"), "layers[2].platform must be an object, not a string"),
        (document(platform={"os": 1}), "layers[2].platform.os must be a string, not a number"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_path(value: object, message: str) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        Descriptor.from_document(value, "layers[2]")

    assert str(caught.value) == message


@pytest.mark.parametrize("size", [0, MAX_SIZE])
def test_a_size_may_be_anything_that_go_can_count(size: int) -> None:
    descriptor = Descriptor.from_document(document(size=size), "config")

    assert descriptor.size == size


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"platform": {"os": "linux", "architecture": "amd64"}}, False),
        ({"platform": {"os": "unknown", "architecture": "unknown"}}, True),
        ({"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}, True),
    ],
)
def test_an_attestation_is_known_by_its_platform_or_its_mark(changes: dict[str, Any], *, expected: bool) -> None:
    descriptor = Descriptor.from_document(document(**changes), "manifests[0]")

    assert descriptor.is_attestation is expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not JSON: "),
        (b"<html>", "is not JSON: "),
        (b"{} {}", "is not JSON: "),
        (b'\xef\xbb\xbf{"a": 1}', "is not JSON: "),
        (b'{"a": "\xff"}', "is not JSON: "),
        (b'{"a": "\\ud800"}', "is not JSON: "),
        (b'{"a": NaN}', "is not JSON: "),
        (b'{"a": 1e999}', "is not JSON: "),
        (b"[" * 60_000, "is nested too deeply"),
        (b'{"a":' * 12_000, "is nested too deeply"),
        (b"[]", "must be an object, not a list"),
        (b"null", "must be an object, not null"),
        (b" " * 65_537, "is 65537 bytes long; 65536 are allowed"),
    ],
)
def test_what_is_no_json_object_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        decode_object(data, "thing", 65_536)

    assert str(caught.value).startswith(f"the thing {reason}")


def test_of_equal_keys_the_last_one_counts() -> None:
    value = decode_object(b'{"a": 1, "a": 2}', "thing", 100)

    assert value == {"a": 2}


def test_a_document_may_be_as_long_as_its_limit() -> None:
    data = msgspec.json.encode({"a": "b" * 91})

    value = decode_object(data, "thing", len(data))

    assert value == {"a": "b" * 91}
