"""Images made of containers: their layer, config, history and parent, as Docker makes them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headway.composition.unpacking import apply_apart
from headway.composition.writing import writing
from headway.container_records import ContainerRecord, ContainerState
from headway.errors import (
    ConflictError,
    HeadwayError,
    InvalidChangeError,
    InvalidReferenceError,
    NotFoundError,
    RequestError,
    UnsupportedError,
)
from headway.layers.recipes.layer_tars import StoredLayerTars
from headway.layers.rootfs.file_access import RootfsAccess
from headway.oci.digest import ImageID
from headway.oci.image_config import MAX_LAYERS, ImageConfig
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.service.containers.containers import Containers
from headway.service.creation.commit import CommitRequest, Committer
from headway.service.creation.importing import Importer, ImportRequest
from headway.service.images.delete import delete_image
from headway.service.images.history import history_of
from headway.service.stores import Stores
from headway.settings import Settings
from tests.fakes.house import add_image
from tests.fakes.tars import END, header, padded

HOST = Platform("linux", "amd64")
BASE = header(b"etc/", kind=b"5", mode=0o755) + header(b"etc/motd", size=5) + padded(b"hello") + END
LATER = 1_800_000_060_000_000_000


def base_image(stores: Stores) -> ImageID:
    request = ImportRequest(platform=HOST, repository="base", message="the base", changes=["CMD run it", "ENV A=b"])
    return Importer(stores, apply_apart).import_image(io.BytesIO(BASE), request)


def container(stores: Stores, config: Mapping[str, object] | None = None, image: str = "base") -> ContainerRecord:
    given = {"Cmd": ["run", "it"], "Env": ["X=y", "A=b"], "Labels": {"l": "m"}, "Image": image, **(config or {})}
    return Containers(stores).create(image, name="box", config=json.dumps(given))


def write(stores: Stores, name: str, content: str | None) -> None:
    layer = Containers(stores).layer("box")
    root = layer.mount()
    if content is None:
        (root / name).unlink()
    else:
        (root / name).write_text(content)
    layer.unmount()


def commit(stores: Stores, **more: Any) -> ImageID:  # noqa: ANN401  # any field
    committer = Committer(stores, apply_apart, RootfsAccess(), HOST, clock=lambda: LATER)
    return committer.commit(CommitRequest(**{"container": "box", **more}))


def document(stores: Stores, image_id: ImageID) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(stores.blobs.read(image_id))
    return decoded


def test_what_was_changed_is_one_more_layer(stores: Stores) -> None:
    parent = base_image(stores)
    container(stores)
    write(stores, "new", "fresh")
    write(stores, "etc/motd", None)

    image_id = commit(stores)

    record = stores.images.get(image_id)
    assert record is not None
    *below, top = stores.layers.trees(record.chain_id)
    base = stores.images.get(parent)
    assert base is not None
    assert (record.parent, record.size) == (parent, base.size + len("fresh"))
    assert [tree.path for tree in below] == [tree.path for tree in stores.layers.trees(base.chain_id)]
    assert (top.path / "new").read_text() == "fresh"


def test_its_config_is_what_docker_writes(stores: Stores) -> None:
    base_image(stores)
    made = container(stores)
    write(stores, "new", "fresh")

    written = document(stores, commit(stores, author="me", comment="why", changes=['ENTRYPOINT ["z"]', "LABEL q=r"]))

    empty = {
        **dict.fromkeys(("Domainname", "User", "WorkingDir"), ""),
        **dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"), False),
        **dict.fromkeys(("Volumes", "OnBuild")),
        "Hostname": made.container_id[:12],
        "Image": "base",
        "Env": ["X=y", "A=b"],
    }
    assert (written["author"], written["container"], written["architecture"], written["os"]) == (
        "me",
        made.container_id,
        "amd64",
        "linux",
    )
    assert written["config"] == {**empty, "Cmd": None, "Entrypoint": ["z"], "Labels": {"l": "m", "q": "r"}}
    assert written["container_config"] == {**empty, "Cmd": ["run", "it"], "Entrypoint": None, "Labels": {"l": "m"}}
    assert written["history"][1] == {
        "created": "2027-01-15T08:01:00Z",
        "author": "me",
        "created_by": "run it",
        "comment": "why",
    }
    assert written["created"] == "2027-01-15T08:01:00Z"
    assert len(written["rootfs"]["diff_ids"]) == 2


def test_a_container_that_changed_nothing_adds_a_step_and_no_layer(stores: Stores) -> None:
    parent = base_image(stores)
    container(stores)

    image_id = commit(stores)

    assert document(stores, image_id)["history"][1]["empty_layer"] is True
    assert document(stores, image_id)["rootfs"] == document(stores, parent)["rootfs"]
    record = stores.images.get(image_id)
    assert record is not None
    steps = history_of(stores, str(record.image_id))
    assert [(step.created_by, step.size, step.image_id) for step in steps] == [
        ("run it", 0, image_id),
        ("", 5, parent),
    ]


def test_the_config_that_is_sent_wins_and_the_containers_fills_up(stores: Stores) -> None:
    base_image(stores)
    container(stores)

    sent = {"cmd": "only", "Env": ["X=z", "N=1"]}
    config = document(stores, commit(stores, config=sent, changes=["ENV Q=$X"]))["config"]

    assert (config["Cmd"], config["Env"]) == (["only"], ["X=z", "N=1", "Q=z", "A=b"])
    assert (config["Labels"], config["Hostname"]) == ({"l": "m"}, "")


def test_it_is_named_then_told_of(stores: Stores) -> None:
    base_image(stores)
    made = container(stores)

    image_id = commit(stores, repository="made", tag="1", comment="why")

    *_, tag, told = stores.events.log.behind(0)
    assert (tag.action, tag.actor, tag.attributes["name"]) == ("tag", image_id, "made:1")
    assert (told.type, told.action, told.actor) == ("container", "commit", made.container_id)
    assert told.attributes == {
        "l": "m",
        "comment": "why",
        "imageID": image_id,
        "imageRef": "made:1",
        "image": "base",
        "name": "box",
    }
    assert stores.references.of(image_id) == [Reference.parse("made:1")]


def test_a_container_of_nothing_becomes_an_image_of_its_files(stores: Stores) -> None:
    container(stores, image="")
    write(stores, "only", "this")

    record = stores.images.get(commit(stores))

    assert record is not None
    assert (record.parent, record.size, record.platform) == (None, len("this"), "linux/amd64")


def test_a_commit_of_a_commit_goes_on_from_it(stores: Stores) -> None:
    base_image(stores)
    container(stores)
    write(stores, "one", "1")
    commit(stores, repository="second")
    Containers(stores).remove("box")
    container(stores, image="second")
    write(stores, "two", "2")

    config = ImageConfig.parse(stores.blobs.read(commit(stores)))

    assert (len(config.diff_ids), len(config.history)) == (3, 3)


def test_the_same_changes_are_the_same_layer(stores: Stores) -> None:
    base_image(stores)
    container(stores)
    write(stores, "new", "fresh")

    one, other = (document(stores, commit(stores, comment=why))["rootfs"] for why in ("first", "second"))

    assert one == other


@pytest.mark.parametrize(
    ("mistake", "kind", "message"),
    [
        ({"container": ""}, RequestError, '^invalid name or ID supplied: ""$'),
        ({"container": "nobody"}, NotFoundError, "no such container: nobody"),
        ({"repository": "UPPER"}, InvalidReferenceError, "repository name"),
        ({"repository": "a", "tag": "b/c"}, InvalidReferenceError, "tag"),
        ({"config": {"Env": 5}}, RequestError, "^invalid config: Env: "),
        ({"config": {"ExposedPorts": [1]}}, RequestError, "^invalid config: ExposedPorts: "),
        ({"changes": ["RUN x"]}, InvalidChangeError, "^run is not a valid change command$"),
    ],
)
def test_a_mistake_makes_no_image(
    stores: Stores, mistake: dict[str, Any], kind: type[HeadwayError], message: str
) -> None:
    parent = base_image(stores)
    container(stores)

    with pytest.raises(kind, match=message):
        commit(stores, **mistake)

    assert [image.image_id for image in stores.images.list()] == [parent]


@pytest.mark.parametrize(
    ("state", "message"),
    [(ContainerState.DEAD, "which is Dead$"), (ContainerState.REMOVING, "which is being removed$")],
)
def test_what_is_being_removed_is_not_committed(stores: Stores, state: ContainerState, message: str) -> None:
    base_image(stores)
    stores.containers.replace(msgspec.structs.replace(container(stores), state=state))

    with pytest.raises(ConflictError, match=f"^You cannot commit container [0-9a-f]{{64}} {message}"):
        commit(stores)


def test_a_container_whose_image_was_removed_by_force_cannot_be_committed(stores: Stores) -> None:
    base_image(stores)
    container(stores)
    delete_image(stores, "base", force=True)
    for image in stores.images.list():
        delete_image(stores, str(image.image_id), force=True)

    with pytest.raises(NotFoundError, match="no such image"):
        commit(stores)


def test_a_layer_too_many_is_said_before_it_is_made(stores: Stores) -> None:
    add_image(stores, "deep:latest", layers=[f"layer{number}" for number in range(MAX_LAYERS)])
    Containers(stores).create("deep:latest", name="box", config="{}")
    write(stores, "one", "more")

    with pytest.raises(UnsupportedError, match="max depth exceeded"):
        commit(stores)


def test_its_exact_layer_can_be_given_away(tmp_path: Path) -> None:
    with writing(Settings(data_root=tmp_path), pytest.fail) as stores:
        base_image(stores)
        container(stores)
        write(stores, "new", "fresh")
        *_, diff_id = ImageConfig.parse(stores.blobs.read(commit(stores))).diff_ids

        tar = b"".join(StoredLayerTars(stores.layers).pieces(diff_id))

    assert diff_id == f"sha256:{hashlib.sha256(tar).hexdigest()}"
