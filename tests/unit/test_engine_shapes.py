"""How values look in the Engine API's JSON."""

from __future__ import annotations

import base64
import stat

import msgspec
import pytest
from msgspec import structs

from headway.container_records import FileStat
from headway.engine.api_version import ApiVersion
from headway.engine.routes.pulls import platform_document
from headway.engine.shapes.events import event_message
from headway.engine.shapes.files import path_stat
from headway.engine.shapes.images import summary
from headway.oci.digest import Digest, ImageID
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.records import Event, ImageRecord
from headway.service.images.listing import ListedImage

IMAGE = ImageID(Digest.of(b"config"))
OLD, LISTS, NO_VIRTUAL = (ApiVersion(1, minor) for minor in (41, 43, 44))


def listed(*names: str, labels: dict[str, str] | None = None) -> ListedImage:
    references = [Reference.parse(name) for name in names]
    return ListedImage(
        record=ImageRecord(
            image_id=IMAGE,
            created="2020-01-02T03:04:05.123456789Z",
            size=1234,
            platform="linux/amd64",
            chain_id=None,
        ),
        tags=tuple(r for r in references if r.digest is None),
        digests=tuple(r for r in references if r.digest is not None),
        labels=labels or {},
    )


def shown(image: ListedImage, version: ApiVersion) -> dict[str, object]:
    document: dict[str, object] = msgspec.to_builtins(summary(image, version))
    return document


def test_an_image_looks_as_in_docker_20() -> None:
    assert shown(listed("busybox:1", labels={"a": "b"}), OLD) == {
        "Containers": -1,
        "Created": 1577934245,
        "Id": str(IMAGE),
        "Labels": {"a": "b"},
        "ParentId": "",
        "RepoDigests": None,
        "RepoTags": ["busybox:1"],
        "SharedSize": -1,
        "Size": 1234,
        "VirtualSize": 1234,
    }


@pytest.mark.parametrize(("version", "tags", "digests"), [(OLD, ["<none>:<none>"], ["<none>@<none>"]), (LISTS, [], [])])
def test_an_image_without_names_is_shown_as_its_version_does(
    version: ApiVersion, tags: list[str], digests: list[str]
) -> None:
    document = shown(listed(), version)

    assert (document["RepoTags"], document["RepoDigests"]) == (tags, digests)


def test_later_versions_leave_out_what_theirs_do() -> None:
    assert "VirtualSize" not in shown(listed("a"), NO_VIRTUAL)


def test_containers_are_shown_that_were_counted() -> None:
    assert shown(structs.replace(listed("a"), containers=2), OLD)["Containers"] == 2


def event(kind: str, actor: str, **attributes: str) -> dict[str, object]:
    told = Event(sequence=1, time_nano=1_500_000_001, type=kind, action="tag", actor=actor, attributes=attributes)
    document: dict[str, object] = msgspec.to_builtins(event_message(told))
    return document


def test_an_images_event_has_the_fields_of_before_there_were_types() -> None:
    assert event("image", "sha256:1", name="a:b") == {
        "Type": "image",
        "Action": "tag",
        "Actor": {"ID": "sha256:1", "Attributes": {"name": "a:b"}},
        "time": 1,
        "timeNano": 1_500_000_001,
        "status": "tag",
        "id": "sha256:1",
        "scope": "local",
    }


def test_a_containers_event_says_from_which_image_and_a_daemons_has_neither() -> None:
    assert event("container", "c1", image="busybox")["from"] == "busybox"
    assert not {"status", "id", "from"} & set(event("daemon", "ID"))
    assert "id" not in event("image", "")


def test_a_platform_is_written_with_everything_that_tells_it_from_others() -> None:
    windows = Platform("windows", "amd64", os_version="10.0.17763.1", os_features=("win32k",))

    assert platform_document(windows) == {
        "architecture": "amd64",
        "os": "windows",
        "os.version": "10.0.17763.1",
        "os.features": ["win32k"],
    }
    assert platform_document(Platform("linux", "arm", "v7")) == {"architecture": "arm", "os": "linux", "variant": "v7"}


def test_a_file_of_the_epoch_has_that_time() -> None:
    header = path_stat(FileStat(name="motd", mode=stat.S_IFREG | 0o644, size=5, mtime_ns=0))

    assert msgspec.json.decode(base64.b64decode(header)) == {
        "name": "motd",
        "size": 5,
        "mode": 0o644,
        "mtime": "1970-01-01T00:00:00Z",
        "linkTarget": "",
    }
