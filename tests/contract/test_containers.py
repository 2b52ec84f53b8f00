"""Containers: record and layer come together and go together, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from headway.composition.containers import mounts as mounts_of
from headway.composition.writing import writing
from headway.container_records import ContainerRecord, ContainerState
from headway.engine.listeners import listen_tcp
from headway.engine.routes import elsewhere
from headway.errors import ConflictError, InvalidNameError, NotFoundError, RequestError, StoreError, UnsupportedError
from headway.layers.drivers import mounts
from headway.oci.digest import DiffID, Digest, ImageID
from headway.oci.reference import Reference
from headway.records import ImageRecord, LayerReport
from headway.service.containers.containers import Containers
from headway.service.containers.names import made_up_name
from headway.service.stores import Stores
from headway.settings import Settings
from tests.fakes.engine import answer_to, serving

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts")

CONFIG = b'{"made": "for this test"}'
IMAGE = ImageID(Digest.of(CONFIG))


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A data root where syncs cost nothing, with one image, ``app``."""
    subprocess.run(["mount", "-t", "tmpfs", "headway-test", tmp_path], check=True)
    settings = Settings(data_root=tmp_path / "root")
    with writing(settings, print) as stores:
        add_image(stores)
    yield settings
    for place in sorted(mounts.ours(), reverse=True):
        if place.startswith(f"{tmp_path}/"):
            mounts.unmount(place)
    subprocess.run(["umount", tmp_path], check=True)


@pytest.fixture
def stores(settings: Settings) -> Iterator[Stores]:
    with writing(settings, print) as stores:
        yield stores


@pytest.fixture
def containers(stores: Stores) -> Containers:
    return Containers(stores)


def add_image(stores: Stores) -> None:
    diff_id = DiffID(Digest.of(b"base"))
    with stores.layers.new_tree() as path:
        (path / "motd").write_text("hello")
        stores.layers.commit_tree(diff_id, path, LayerReport(size=5, entries=1))
        chain_id = stores.layers.commit_chain([diff_id])
    stores.blobs.put(IMAGE, CONFIG)
    record = ImageRecord(image_id=IMAGE, created="", size=5, platform="linux/amd64", chain_id=chain_id)
    with stores.transaction():
        stores.images.put(record)
        stores.references.put_tag(Reference.parse("app"), IMAGE)


def left(settings: Settings) -> list[str]:
    return [name for folder in ("rw", "tmp") for name in os.listdir(settings.data_root / folder)]


def told(stores: Stores) -> list[tuple[str, str]]:
    return [(event.action, event.attributes["name"]) for event in stores.log.behind(0) if event.type == "container"]


def test_an_image_that_is_removed_while_a_container_is_made_of_it_is_said_to_be_gone(stores: Stores) -> None:
    def remove_it(size: int) -> bytes:
        with stores.transaction():
            stores.references.delete(Reference.parse("app"))
            stores.garbage.forget_image(IMAGE)
        return os.urandom(size)

    with pytest.raises(NotFoundError, match="no such image: app"):
        Containers(stores, random=remove_it).create("app")

    assert stores.containers.list() == []


def test_a_container_keeps_what_it_was_made_with(containers: Containers) -> None:
    config, host_config = '{"Labels": {"a": "b"},  "Odd": [1]}', '{"StorageOpt": null}'

    made = containers.create("app", name="/c1", config=config, host_config=host_config)

    assert containers.get("c1") == made
    assert (made.name, made.image, made.image_id, made.platform) == ("c1", "app", IMAGE, "linux/amd64")
    assert (made.config, made.host_config, made.state) == (config, host_config, ContainerState.CREATED)
    assert (containers.layer("c1").mount() / "motd").read_text() == "hello"
    containers.layer("c1").unmount()


def test_a_container_of_nothing_is_possible(containers: Containers) -> None:
    made = containers.create("")

    assert (made.image_id, containers.layer(made.container_id).record.chain_id) == (None, None)


def test_names_are_made_up_and_stay_free_of_each_other(containers: Containers) -> None:
    names = [containers.create("app").name for _ in range(3)]

    assert len(set(names)) == 3
    assert all(name.replace("_", "").isalnum() and "_" in name for name in names)
    assert made_up_name(lambda count: b"\0" * count, 0) == "able_anchor"
    assert made_up_name(lambda count: b"\0" * count, 1) == "able_anchor0"


@pytest.mark.parametrize(
    ("others", "races", "name"), [(1, 1, "able_anchor0"), (1, 50, "able_anchor0"), (2, 50, ""), (2, 0, "")]
)
def test_a_made_up_name_that_somebody_is_given_meanwhile_is_made_up_again(
    stores: Stores, others: int, races: int, name: str
) -> None:
    class Late(Containers):
        looks = 0

        def _is_taken(self, name: str) -> bool:
            self.looks += 1
            return self.looks > races and super()._is_taken(name)

    def random(size: int) -> bytes:
        return os.urandom(size) if size == 32 else bytes(size)

    for _ in range(others):
        Containers(stores, random=random).create("app")
    made = Late(stores, random=random).create("app")

    assert made.name == (name or made.container_id[:12])
    assert len(stores.rw_layers.list()) == others + 1


@pytest.mark.parametrize("name", ["-bad", "a", "a b", "ü1", "a\n", "/", "a/b"])
def test_names_that_docker_refuses_are_refused_in_its_words(containers: Containers, name: str) -> None:
    with pytest.raises(InvalidNameError, match=r"only \[a-zA-Z0-9\]\[a-zA-Z0-9_.-\] are allowed"):
        containers.create("app", name=name)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"image": "none"}, NotFoundError),
        ({"name": "taken"}, ConflictError),
        ({"host_config": '{"StorageOpt": {"foo": "1"}}'}, UnsupportedError),
        ({"host_config": '{"StorageOpt": 7}'}, RequestError),
        ({"config": "[]"}, RequestError),
    ],
)
def test_one_that_cannot_be_made_leaves_nothing(
    settings: Settings, stores: Stores, containers: Containers, changed: dict[str, str], error: type[Exception]
) -> None:
    containers.create("app", name="taken")
    before = left(settings), told(stores)

    with pytest.raises(error):
        containers.create(**{"image": "app", **changed})  # the table's keys are its arguments

    assert [container.name for container in containers.list()] == ["taken"]
    assert (left(settings), told(stores)) == before
    assert len(stores.rw_layers.list()) == 1


def test_one_whose_record_cannot_be_made_leaves_no_layer(settings: Settings, stores: Stores) -> None:
    class Full(type(stores.containers)):  # type: ignore[misc]  # whatever keeps the records
        def add(self, container: object) -> None:
            raise StoreError("the disk failed")

    broken = msgspec.structs.replace(stores, containers=Full(stores.containers._database))  # type: ignore[attr-defined]  # its own

    with pytest.raises(StoreError, match="the disk failed"):
        Containers(broken).create("app")

    assert (stores.rw_layers.list(), left(settings)) == ([], [])


def test_a_removed_container_is_gone_with_its_layer(settings: Settings, stores: Stores, containers: Containers) -> None:
    made = containers.create("app", name="c1", config='{"Labels": {"a": "b"}}')

    containers.remove(made.container_id[:12])

    assert (containers.list(), stores.rw_layers.list(), left(settings)) == ([], [], [])
    assert told(stores) == [("create", "c1"), ("destroy", "c1")]
    with pytest.raises(NotFoundError):
        containers.remove("c1")


def test_its_layers_stay_as_long_as_it_does(stores: Stores, containers: Containers) -> None:
    containers.create("app", name="c1")
    with stores.transaction():
        stores.references.delete(Reference.parse("app"))
        freed = stores.garbage.forget_image(IMAGE)
    stores.garbage.sweep(freed)
    here = (containers.layer("c1").mount() / "motd").read_text()
    containers.layer("c1").unmount()

    containers.remove("c1")

    assert here == "hello"
    assert not stores.layers.has_tree(DiffID(Digest.of(b"base")))


def test_a_mounted_container_is_not_removed(settings: Settings, stores: Stores, containers: Containers) -> None:
    containers.create("app", name="c1")
    mounted = mounts_of(settings, stores).mount("c1")

    with pytest.raises(ConflictError, match="mount still active"):
        containers.remove("c1")

    assert containers.get("c1").state is ContainerState.CREATED
    assert (mounted.target / "motd").exists()
    mounts_of(settings, stores).unmount("c1")
    containers.remove("c1")


def test_one_that_is_mounted_though_its_removal_was_cut_short_keeps_nobody_from_starting(settings: Settings) -> None:
    with writing(settings, print) as stores:
        made = Containers(stores).create("app", name="c1")
        mounts_of(settings, stores).mount("c1")
        stores.containers.replace(msgspec.structs.replace(made, state=ContainerState.REMOVING))

    with writing(settings, print) as stores:
        states = [container.state for container in stores.containers.list()]
        mounts_of(settings, stores).unmount("c1")
        Containers(stores).remove("c1")

    assert states == [ContainerState.CREATED]
    assert left(settings) == []


def test_one_whose_files_cannot_be_removed_is_dead_and_can_be_tried_again(tmp_path: Path) -> None:
    settings = Settings(data_root=tmp_path / "root")  # on a disk: memory has no immutable files
    with writing(settings, print) as stores:
        add_image(stores)
        containers = Containers(stores)
        made = containers.create("app", name="c1")
        stuck = settings.data_root / "rw" / containers.layer("c1").record.mount_id / "diff/stuck"
        stuck.touch()
        subprocess.run(["chattr", "+i", stuck], check=True)
        try:
            words = f'container {made.container_id}: driver "overlay2" failed to remove root filesystem: '
            with pytest.raises(StoreError) as refused:
                containers.remove("c1")
            state = containers.get("c1").state
        finally:
            found = next((settings.data_root / "tmp").rglob("stuck"))
            subprocess.run(["chattr", "-i", found], check=True)

        containers.remove("c1")

        assert str(refused.value).startswith(words)
        assert (state, containers.list(), left(settings)) == (ContainerState.DEAD, [], [])


def test_a_renamed_container_is_found_by_its_new_name(stores: Stores, containers: Containers) -> None:
    made = containers.create("app", name="c1")
    containers.create("app", name="c2")

    containers.rename("c1", "/c3")

    assert containers.get("c3").container_id == made.container_id
    with pytest.raises(ConflictError, match='The container name "/c2" is already in use by container'):
        containers.rename("c3", "c2")
    with pytest.raises(RequestError, match="same name as its current name"):
        containers.rename("c3", "c3")
    assert told(stores)[-1] == ("rename", "c3")
    assert stores.log.behind(0)[-1].attributes["oldName"] == "/c1"


# --- kills ---

CHILD = """
import os, signal, sys
from pathlib import Path
from headway.composition.writing import writing
from headway.service.containers.containers import Containers
from headway.settings import Settings

def at(step):
    if step == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

with writing(Settings(data_root=Path(sys.argv[1])), print) as stores:
    stores.rw_layers._at = at
    containers = Containers(stores)
    if sys.argv[2] == "create":
        containers.create("app", name="c1")
    else:
        containers.remove("c1")
"""


def killed(settings: Settings, what: str, step: str) -> None:
    process = subprocess.run([sys.executable, "-c", CHILD, settings.data_root, what, step], check=False)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("step", ["the layer is made", "the layer is renamed", "the layer is recorded"])
def test_killed_while_it_is_made_there_is_neither_record_nor_layer(settings: Settings, step: str) -> None:
    killed(settings, "create", step)

    with writing(settings, print) as stores:
        assert (stores.containers.list(), stores.rw_layers.list(), left(settings), told(stores)) == ([], [], [], [])


@pytest.mark.parametrize("step", ["the layer is marked", "the layer is moved away", "the layer is forgotten"])
def test_killed_while_it_is_removed_the_next_start_finishes_that(settings: Settings, step: str) -> None:
    with writing(settings, print) as stores:
        Containers(stores).create("app", name="c1")

    killed(settings, "remove", step)

    with writing(settings, print) as stores:
        assert (stores.containers.list(), stores.rw_layers.list(), left(settings)) == ([], [], [])
        assert told(stores) == [("create", "c1"), ("destroy", "c1")]


def test_what_a_crash_left_mounted_is_undone_by_any_command_that_writes(settings: Settings) -> None:
    script = CHILD.replace('containers.remove("c1")', 'print(containers.layer("c1").mount(), flush=True); at(None)')
    with writing(settings, print) as stores:
        Containers(stores).create("app", name="c1")
    arguments: list[str | Path] = [
        sys.executable,
        "-c",
        script.replace("at(None)", "os._exit(9)"),
        settings.data_root,
        "mount",
        "",
    ]
    place = subprocess.run(arguments, check=False, capture_output=True, text=True).stdout.strip()
    was_mounted = os.path.ismount(place)

    with writing(settings, print):
        assert (was_mounted, os.path.ismount(place)) == (True, False)


def test_configs_that_are_kept_are_json(containers: Containers) -> None:
    made = containers.create("app", config=json.dumps({"Cmd": ["sh"]}))

    assert json.loads(containers.get(made.name).config) == {"Cmd": ["sh"]}


async def test_one_that_goes_before_somebody_has_begun_to_wait_for_it_is_not_waited_for(stores: Stores) -> None:
    class Going(Containers):
        """Removes a container behind whoever has just found it."""

        def get(self, word: str) -> ContainerRecord:
            found = super().get(word)
            stores.containers.delete(found.container_id)
            stores.events.tell("container", "destroy", found.container_id, {})
            return found

    container = Containers(stores).create("app")
    (listener,) = listen_tcp("127.0.0.1", 0)
    path = f"/v1.41/containers/{container.container_id}/wait?condition=removed"
    request = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    async with serving(listener, elsewhere.routes(Going(stores), stores.events)), asyncio.timeout(10):
        answer = await answer_to(listener, request.encode())

    assert answer.startswith(b"HTTP/1.1 404 ")
