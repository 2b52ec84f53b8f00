"""Images made of root file systems' archives: what they are, and what is left when they cannot be made."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headway.composition.unpacking import apply_apart
from headway.composition.writing import writing
from headway.errors import (
    HeadwayError,
    InvalidChangeError,
    InvalidLayerError,
    InvalidReferenceError,
    RequestError,
    StoreError,
    StoreFullError,
)
from headway.layers.recipes.layer_tars import StoredLayerTars
from headway.oci.digest import ImageID
from headway.oci.image_config import ImageConfig
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.records import ImageRecord
from headway.service.creation.importing import Importer, ImportRequest
from headway.service.creation.making import ImageMaker
from headway.service.images.prune import Pruner
from headway.service.stores import Stores
from headway.settings import Settings
from tests.fakes.tars import END, header, padded

LINUX = Platform("linux", "amd64")
TAR = (
    header(b"etc/", kind=b"5", mode=0o755)
    + header(b"etc/motd", size=5)
    + padded(b"hello")
    + header(b"etc/issue", kind=b"2", linkname=b"motd")
    + END
)
NOW = 1_800_000_000_123_456_780


def importer(stores: Stores) -> Importer:
    return Importer(stores, apply_apart, clock=lambda: NOW)


def request(**more: Any) -> ImportRequest:  # noqa: ANN401  # any field
    return ImportRequest(**{"platform": LINUX, **more})


def imported(stores: Stores, tar: bytes = TAR, **more: Any) -> ImageID:  # noqa: ANN401  # any field
    return importer(stores).import_image(io.BytesIO(tar), request(**more))


def config_of(stores: Stores, image_id: ImageID) -> ImageConfig:
    return ImageConfig.parse(stores.blobs.read(image_id))


def test_its_config_is_what_docker_writes(stores: Stores) -> None:
    image_id = imported(stores, message="why", changes=["CMD run it", "ENV A=1"])

    assert json.loads(stores.blobs.read(image_id)) == {
        "architecture": "amd64",
        "comment": "why",
        "config": {
            **dict.fromkeys(("Hostname", "Domainname", "User", "Image", "WorkingDir"), ""),
            **dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"), False),
            **dict.fromkeys(("Volumes", "Entrypoint", "OnBuild", "Labels")),
            "Env": ["A=1"],
            "Cmd": ["/bin/sh", "-c", "run it"],
        },
        "created": "2027-01-15T08:00:00.12345678Z",
        "history": [{"created": "2027-01-15T08:00:00.12345678Z", "comment": "why"}],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(TAR).hexdigest()}"]},
    }


def test_it_has_the_files_of_the_archive_and_their_size(stores: Stores) -> None:
    record = stores.images.get(imported(stores))

    assert record is not None
    (tree,) = stores.layers.trees(record.chain_id)
    assert (tree.path / "etc/motd").read_text() == "hello"
    assert (record.size, record.platform, record.parent) == (len("hello") + len("motd"), "linux/amd64", None)


def test_the_same_archive_at_the_same_time_is_the_same_image(stores: Stores) -> None:
    assert imported(stores) == imported(stores)
    assert stores.images.count() == 1


@pytest.mark.parametrize(
    "packed", [gzip.compress, bz2.compress, lzma.compress, bytes], ids=["gzip", "bzip2", "xz", "plain"]
)
def test_however_it_is_compressed_it_is_the_same_layer(stores: Stores, packed: Callable[[bytes], bytes]) -> None:
    (diff_id,) = config_of(stores, imported(stores, packed(TAR))).diff_ids

    assert diff_id == f"sha256:{hashlib.sha256(TAR).hexdigest()}"


def test_an_empty_body_is_an_image_with_an_empty_layer(stores: Stores) -> None:
    record = stores.images.get(imported(stores, b""))

    assert record is not None
    assert (record.size, len(stores.layers.trees(record.chain_id))) == (0, 1)


def test_it_says_where_it_came_from(stores: Stores) -> None:
    here, there = (config_of(stores, imported(stores, origin=origin)) for origin in ("-", "http://there/x.tar"))

    assert (here.history[0].comment, there.history[0].comment) == (
        "Imported from -",
        "Imported from http://there/x.tar",
    )


def test_its_platform_is_the_one_that_was_asked_for(stores: Stores) -> None:
    config = config_of(stores, imported(stores, platform=Platform("linux", "arm", "v7")))

    assert (config.architecture, config.variant, str(config.platform)) == ("arm", "v7", "linux/arm/v7")


def test_it_is_named_and_told_of_name_first(stores: Stores) -> None:
    image_id = imported(stores, repository="app", changes=["LABEL a=b"])

    events = [(each.action, each.actor, dict(each.attributes)) for each in stores.events.log.behind(0)]
    assert events == [
        ("tag", image_id, {"a": "b", "name": "app"}),
        ("import", image_id, {"a": "b", "name": image_id}),
    ]
    assert stores.references.of(image_id) == [Reference.parse("app:latest")]


@pytest.mark.parametrize(
    ("repository", "tag", "name"), [("app", "2", "app:2"), ("app:1", "2", "app:2"), ("app:1", "", "app:1")]
)
def test_a_tag_beside_the_name_wins(stores: Stores, repository: str, tag: str, name: str) -> None:
    assert stores.references.of(imported(stores, repository=repository, tag=tag)) == [Reference.parse(name)]


def test_a_tag_alone_names_nothing(stores: Stores) -> None:
    assert stores.references.of(imported(stores, tag="2")) == []


class _Untouchable:
    def read(self, limit: int) -> bytes:
        pytest.fail("nothing is read for a request that cannot be met")


@pytest.mark.parametrize(
    ("mistake", "kind", "message"),
    [
        ({"repository": "UPPER"}, InvalidReferenceError, "repository name"),
        ({"repository": f"a@sha256:{'0' * 64}"}, InvalidReferenceError, "^cannot import digest reference$"),
        ({"repository": "a", "tag": "b/c"}, InvalidReferenceError, "tag"),
        ({"changes": ["RUN x"]}, InvalidChangeError, "^run is not a valid change command$"),
        ({"platform": Platform("windows", "amd64")}, RequestError, "^operating system is not supported$"),
    ],
)
def test_a_mistake_is_found_before_anything_is_read(
    stores: Stores, mistake: dict[str, Any], kind: type[HeadwayError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        importer(stores).import_image(_Untouchable(), request(**mistake))


@pytest.mark.parametrize(
    "broken",
    [
        b"this is no archive at all " * 40,
        TAR[:700],
        gzip.compress(TAR)[:-9],
        header(b"../x", kind=b"1", linkname=b"etc/nowhere", checksum=b"000000\0 ") + END,
    ],
)
def test_what_is_no_archive_leaves_nothing(stores: Stores, broken: bytes) -> None:
    with pytest.raises(InvalidLayerError):
        imported(stores, broken, repository="app")

    assert (stores.images.list(), stores.references.list(), stores.leases.idle()) == ([], [], [])
    assert stores.events.log.behind(0) == []


def test_what_cannot_be_recorded_is_taken_by_the_next_prune(tmp_path: Path) -> None:
    def broken(_: ImageRecord) -> None:
        raise StoreError("the disk is gone")

    with writing(Settings(data_root=tmp_path), pytest.fail) as stores:
        plan = msgspec.structs.replace(importer(stores).plan(request()), recorded=broken)
        with pytest.raises(StoreError, match="gone"):
            ImageMaker(stores, apply_apart).make(plan, io.BytesIO(TAR))

        assert (stores.images.list(), stores.leases.idle()) == ([], [])
        Pruner(stores).prune()
        assert (list(stores.blobs.walk()), stores.layers.sizes()) == ([], {})


def test_its_exact_archive_can_be_made_again(tmp_path: Path) -> None:
    with writing(Settings(data_root=tmp_path), pytest.fail) as stores:
        (diff_id,) = config_of(stores, imported(stores, gzip.compress(TAR))).diff_ids

        assert b"".join(StoredLayerTars(stores.layers).pieces(diff_id)) == TAR


def test_a_full_disk_is_one_error_and_leaves_nothing(small_disk: Path) -> None:
    body = bytes(range(256)) * 8192
    with writing(Settings(data_root=small_disk / "root"), pytest.fail) as stores:
        with pytest.raises(StoreFullError):
            imported(stores, header(b"body", size=len(body)) + padded(body) + END, repository="app")

        assert (stores.images.list(), stores.leases.idle(), stores.layers.sizes()) == ([], [], {})
        assert list((small_disk / "root/tmp").iterdir()) == []


def test_imports_at_the_same_time_do_not_disturb_each_other(tmp_path: Path) -> None:
    with writing(Settings(data_root=tmp_path), pytest.fail) as stores, ThreadPoolExecutor(4) as pool:
        made = set(pool.map(lambda number: imported(stores, TAR, repository=f"app{number}"), range(8)))

        assert len(made) == 1
        assert len(stores.references.list()) == 8
        assert stores.leases.idle() == []
