"""The image service, whole: over stores in memory and on disk, and a registry in memory."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest

from headway.composition.pushes import pushing
from headway.composition.service import image_service
from headway.composition.writing import writing
from headway.container_records import ContainerRecord
from headway.distribution.endpoints import Endpoint, InsecureRegistries
from headway.errors import (
    ConflictError,
    InvalidSettingError,
    MountNotFoundError,
    NotFoundError,
    OutOfOrderError,
    PullIncompleteError,
    StoreError,
    UnsupportedError,
)
from headway.oci.descriptor import Descriptor
from headway.oci.digest import DiffID, Digest
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.records import LayerBlob
from headway.service.image_service import ImageService
from headway.service.stores import Stores
from headway.service.transfers.progress import LayerProgress, PullDone, PullEvent
from headway.settings import Settings
from tests.fakes import images
from tests.fakes.house import add_image, memory_config, memory_service
from tests.fakes.simulated_pushes import SimulatedPusher
from tests.fakes.simulated_registry import SimulatedBlob, SimulatedRegistry
from tests.faults.story import Fault, Status

APP = Reference.parse("registry.test/test/image:latest")
ONE = images.image([{"base": b"base"}, {"top": b"top"}], config={"Labels": {"stage": "test"}, "Cmd": ["sh"]})
TWO = images.image([{"base": b"base"}, {"other": b"other"}])
CONTAINER = ContainerRecord(
    container_id="c0ffee" * 10 + "0000", name="user", image_id=None, image="", created_nano=0, platform="linux/amd64"
)


def quiet(_: PullEvent) -> None:
    pass


@pytest.fixture
def registry() -> SimulatedRegistry:
    return SimulatedRegistry([ONE])


@pytest.fixture
def service(stores: Stores, registry: SimulatedRegistry, tmp_path: Path) -> ImageService:
    return memory_service(stores, registry, tmp_path)


def told(stores: Stores) -> list[tuple[str, str, str]]:
    return [(each.action, each.actor, each.attributes["name"]) for each in stores.events.log.behind(0)]


async def pull(service: ImageService, reference: Reference = APP, platform: Platform | None = None) -> PullDone:
    async with asyncio.timeout(30), service:
        return await service.pull_image(reference, quiet, platform=platform)


# --- as a whole ----------------------------------------------------------------------------------------------------


def test_it_logs_its_limits_as_moby_does(
    stores: Stores, registry: SimulatedRegistry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "headway.service.image_service")

    memory_service(stores, registry, tmp_path, max_concurrent_downloads=0, max_download_attempts=7)

    assert caplog.messages == [
        "Max Concurrent Downloads: 3",
        "Max Concurrent Uploads: 5",
        "Max Download Attempts: 7",
    ]


@pytest.mark.parametrize("limit", ["max_concurrent_downloads", "max_concurrent_uploads", "max_download_attempts"])
def test_a_limit_that_cannot_be_is_refused(
    stores: Stores, registry: SimulatedRegistry, tmp_path: Path, limit: str
) -> None:
    with pytest.raises(InvalidSettingError, match=f"^invalid {limit.replace('_', ' ')}: -1$"):
        memory_service(stores, registry, tmp_path, **{limit: -1})


async def test_an_image_is_pulled_listed_described_named_and_removed(service: ImageService, stores: Stores) -> None:
    done = await pull(service)
    (listed,) = service.images(containers=True, shared_size=True)
    details = service.lookup_image("registry.test/test/image")
    steps = service.image_history(ONE.image_id[7:19])
    tag = service.tag_image(ONE.image_id, "app", "1")
    removed = service.image_delete(ONE.image_id, force=True)

    assert (done.image_id, service.limits.max_download_attempts) == (ONE.image_id, 5)
    assert (listed.labels, listed.containers, listed.shared_size) == ({"stage": "test"}, 0, 0)
    assert details.config == {"Labels": {"stage": "test"}, "Cmd": ["sh"]}
    assert details.driver == service.graph_driver_for_os("linux")
    assert [step.created_by for step in steps] == ["layer 1", "layer 0"]
    assert (tag.familiar, len(removed)) == ("app:1", 6)
    assert (service.count_images(), service.map()) == (0, {})
    assert [action for action, _, _ in told(stores)] == ["pull", "tag", "untag", "untag", "untag", "delete"]


def test_children_and_all_images_are_known(service: ImageService, stores: Stores) -> None:
    parent = add_image(stores, "base:1")
    child = add_image(stores, "app:1", parent=parent, labels={"is": "child"})

    assert service.children(parent) == [child]
    assert service.children(child) == []
    assert {image_id: record.parent for image_id, record in service.map().items()} == {parent: None, child: parent}
    assert service.count_images() == 2
    assert service.get_image("app:1", Platform("linux", "amd64")).image_id == child


def test_an_image_gets_a_name_that_is_known_to_be_one(service: ImageService, stores: Stores) -> None:
    image_id = add_image(stores)

    service.tag_image_with_reference(image_id, Reference.parse("app:1"))

    assert service.get_image("app:1").image_id == image_id


def test_images_that_nobody_uses_are_pruned(service: ImageService, stores: Stores) -> None:
    kept, gone = add_image(stores, "app:1"), add_image(stores, labels={"is": "dangling"})

    report = service.images_prune()

    assert report.deleted == (("Deleted", str(gone)),)
    assert list(service.map()) == [kept]


def test_what_others_do_to_images_can_be_told(service: ImageService, stores: Stores) -> None:
    image_id = add_image(stores, "app:1", labels={"stage": "test"})

    service.log_image_event(image_id, "app:1", "save")
    service.log_image_event_with_attributes("", "", "prune", {"reclaimed": "5"})

    events = [(event.action, event.actor, dict(event.attributes)) for event in stores.events.log.behind(0)]
    assert events == [
        ("save", image_id, {"stage": "test", "name": "app:1"}),
        ("prune", "", {"reclaimed": "5"}),
    ]


# --- pulls ---------------------------------------------------------------------------------------------------------


async def test_every_pull_is_told_of_with_what_was_asked_for(service: ImageService, stores: Stores) -> None:
    by_digest = APP.name_only().with_digest(Digest(ONE.manifest_digest))
    for reference in (APP, APP, by_digest):
        await pull(service, reference)

    assert told(stores) == [
        ("pull", "registry.test/test/image:latest", "registry.test/test/image"),
        ("pull", "registry.test/test/image:latest", "registry.test/test/image"),
        ("pull", by_digest.familiar, "registry.test/test/image"),
    ]
    assert stores.events.log.behind(0)[0].attributes["stage"] == "test"


async def test_a_digest_that_came_from_another_repository_is_asked_for(
    service: ImageService, stores: Stores, registry: SimulatedRegistry
) -> None:
    await pull(service)
    digest = Digest(ONE.manifest_digest)
    elsewhere = Reference.parse("registry.test/test/other").with_digest(digest)
    registry.faults = (Fault(Status(404), "manifest"),)

    async with service:
        with pytest.raises(PullIncompleteError):
            await service.pull_image(elsewhere, quiet)

    assert stores.references.get(elsewhere) is None
    before = len(registry.asked)
    assert not (await pull(service, APP.name_only().with_digest(digest))).updated
    assert len(registry.asked) == before


async def test_a_pull_that_moves_a_tag_tells_of_the_image_that_had_it(
    service: ImageService, stores: Stores, registry: SimulatedRegistry
) -> None:
    await pull(service)
    registry.add(TWO)

    done = await pull(service)

    assert done.updated
    assert [action for action, _, _ in told(stores)] == ["pull", "untag", "pull"]
    assert told(stores)[1][1] == ONE.image_id
    assert service.get_image(str(APP)).image_id == TWO.image_id


async def test_another_platforms_image_of_one_index_moves_the_tag_and_not_the_digest(
    service: ImageService, stores: Stores, registry: SimulatedRegistry
) -> None:
    both = images.image(index=True)
    registry.add(both)
    first = await pull(service, platform=Platform("linux", "amd64"))

    second = await pull(service, platform=Platform("linux", "arm64"))

    assert first.image_id != second.image_id
    assert stores.references.get(APP) == second.image_id
    assert stores.references.get(APP.name_only().with_digest(Digest(both.manifest_digest))) == first.image_id


async def test_a_pull_keeps_what_was_recorded_here(service: ImageService, stores: Stores) -> None:
    await pull(service)
    service.tag_image(ONE.image_id, "app")
    before = service.get_image("app")

    await pull(service)

    assert before.last_tagged > 0
    assert service.get_image("app") == before


async def test_which_blob_holds_which_layer_is_remembered_with_its_repository(
    service: ImageService, stores: Stores
) -> None:
    await pull(service)

    for diff_id, blob in zip(ONE.diff_ids, ONE.layers, strict=True):
        assert stores.metadata.diff_id_of(Digest(blob)) == diff_id
        assert stores.metadata.blobs_of(DiffID(Digest(diff_id))) == [
            LayerBlob(Digest(blob), "registry.test/test/image")
        ]


async def test_others_may_ask_a_repository_and_an_index(service: ImageService, registry: SimulatedRegistry) -> None:
    async with service:
        repository = service.get_repository(APP)
        descriptor = await repository.resolve(APP)
        manifest = await repository.manifest(descriptor.digest)
        tags = await repository.tags()
        found = await service.search_registry_for_images("image")
        services = service.distribution_services()

    assert (descriptor.digest, manifest.digest, tags) == (ONE.manifest_digest, ONE.manifest_digest, ["latest"])
    assert [each.name for each in found] == ["test/image"]
    assert services.image_store.count() == 0, "nothing that was asked for is kept"


def test_outside_of_its_context_it_reaches_nobody(service: ImageService) -> None:
    with pytest.raises(OutOfOrderError):
        service.distribution_services()


# --- limits, live --------------------------------------------------------------------------------------------------


class HeldBlob(SimulatedBlob):
    """A stream that waits before its end until the registry lets go."""

    gate: threading.Event

    def read(self) -> bytes:
        if self._asked.sent > 300_000:
            assert self.gate.wait(20)
        return super().read()


class HoldingRegistry(SimulatedRegistry):
    """Sends most of each layer and then waits for `gate`."""

    def __init__(self, *held: images.Image) -> None:
        super().__init__(held)
        self.gate = threading.Event()

    def blob(self, endpoint: Endpoint, repository: str, descriptor: Descriptor, offset: int, end: int) -> SimulatedBlob:
        stream = super().blob(endpoint, repository, descriptor, offset, end)
        held = HeldBlob(self, stream._asked, stream._size)
        held.gate = self.gate
        return held

    def flowing(self) -> int:
        """Return how many layers are on their way."""
        return len({asked.digest for asked in self.asked if asked.kind == "blob" and asked.sent > 300_000})


FIVE_LAYERS = images.image([images.noise_layer(400_000, seed=seed) for seed in range(5)])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in threads
            await asyncio.sleep(0.01)


async def test_an_image_whose_manifest_lies_fails_alone(stores: Stores, tmp_path: Path) -> None:
    lie = images.image([images.noise_layer(400_000), {"top": b"top"}], tag="lie")
    document = lie.manifest | {"config": ONE.manifest["config"]}  # it claims the other's layers
    data = json.dumps(document).encode()
    name = images.digest_of(data)
    lying = dataclasses.replace(
        lie,
        blobs={**lie.blobs, ONE.image_id: ONE.blobs[ONE.image_id], name: data},
        media_types={name: lie.media_types[lie.manifest_digest]},
        manifest_digest=name,
    )
    registry = HoldingRegistry(lying, ONE)
    service = memory_service(stores, registry, tmp_path)

    def let_go(event: PullEvent) -> None:
        if isinstance(event, LayerProgress) and event.digest == ONE.layers[0]:
            registry.gate.set()  # the other one waits for it, too

    async def pull_beside() -> PullDone:
        await until(lambda: registry.flowing() == 1)
        return await service.pull_image(APP, let_go)

    async with service:
        lied, done = await asyncio.gather(
            service.pull_image(APP.with_tag("lie"), quiet), pull_beside(), return_exceptions=True
        )

    assert registry.gate.is_set()
    assert isinstance(lied, PullIncompleteError)
    assert isinstance(done, PullDone)


async def test_more_downloads_at_once_start_what_waits_and_fewer_let_run_what_runs(
    stores: Stores, tmp_path: Path
) -> None:
    registry = HoldingRegistry(FIVE_LAYERS)
    service = memory_service(stores, registry, tmp_path, max_concurrent_downloads=1)
    async with asyncio.timeout(30), service, asyncio.TaskGroup() as group:
        pulling = group.create_task(service.pull_image(APP, quiet))
        await until(lambda: registry.flowing() == 1)
        await asyncio.sleep(0.1)
        alone = registry.flowing()
        service.update_config(max_concurrent_downloads=3)
        await until(lambda: registry.flowing() == 3)
        service.update_config(max_concurrent_downloads=2)
        await asyncio.sleep(0.1)
        after = registry.flowing()
        registry.gate.set()

    assert (alone, after) == (1, 3)
    assert pulling.result().image_id == FIVE_LAYERS.image_id


class TellingRegistry(SimulatedRegistry):
    """Calls `tell` in the event loop at each request for a blob, before it is answered."""

    def __init__(self, *held: images.Image, faults: list[Fault]) -> None:
        super().__init__(held, faults=faults)
        self.tell: Callable[[], object] = int

    def blob(self, endpoint: Endpoint, repository: str, descriptor: Descriptor, offset: int, end: int) -> SimulatedBlob:
        asyncio.get_running_loop().call_soon(self.tell)
        return super().blob(endpoint, repository, descriptor, offset, end)


async def test_attempts_hold_for_downloads_that_are_under_way(stores: Stores, tmp_path: Path) -> None:
    registry = TellingRegistry(ONE, faults=[Fault(Status(503), kind="blob", digest=ONE.layers[0])])
    service = memory_service(stores, registry, tmp_path, max_download_attempts=1_000)
    registry.tell = lambda: service.update_config(max_download_attempts=2, download_patience=0.0)

    async with asyncio.timeout(60), service:
        with pytest.raises(PullIncompleteError, match="stopped after 2 attempts"):
            await service.pull_image(APP, quiet)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"max_download_attempts": 0}, "invalid max download attempts: 0"),
        ({"max_concurrent_downloads": -1}, "invalid max concurrent downloads: -1"),
        ({"max_concurrent_uploads": -1}, "invalid max concurrent uploads: -1"),
    ],
)
def test_an_update_that_cannot_be_changes_nothing(service: ImageService, wrong: dict[str, int], said: str) -> None:
    before = service.limits

    with pytest.raises(InvalidSettingError, match=f"^{said}$"):
        service.update_config(**{"max_concurrent_uploads": 9, **wrong})

    assert service.limits == before
    assert service.update_config(max_concurrent_downloads=0) == before, "0 means the default"


# --- layers --------------------------------------------------------------------------------------------------------


def with_image(stores: Stores, **changed: object) -> ContainerRecord:
    import msgspec  # noqa: PLC0415 - for this function alone

    image_id = add_image(stores, "app:1", layers=["base", "top"])
    return msgspec.structs.replace(CONTAINER, **{"image_id": image_id, **changed})


def test_a_containers_layer_is_made_found_measured_and_released(service: ImageService, stores: Stores) -> None:
    container = with_image(stores)

    layer = service.create_layer(container)
    (layer.mount() / "written").write_text("12345")
    layer.unmount()
    found = service.get_layer_by_id(container.container_id)
    sizes = service.get_container_layer_size(container.container_id)
    mount_id = service.get_layer_mount_id(container.container_id)
    service.release_layer(container.container_id)

    assert found.record == layer.record
    assert (mount_id, sizes) == (layer.record.mount_id, (5, 75))
    with pytest.raises(MountNotFoundError, match="mount does not exist"):
        service.get_layer_mount_id(container.container_id)
    service.release_layer(container.container_id)  # one that is gone already is fine


def test_a_container_of_nothing_has_a_layer_too(service: ImageService) -> None:
    layer = service.create_layer(CONTAINER, init=False)

    assert layer.record.chain_id is None
    assert service.get_container_layer_size(CONTAINER.container_id) == (0, 0)
    service.release_layer(CONTAINER.container_id)


def test_the_layers_of_a_removed_image_go_with_its_last_container(service: ImageService, stores: Stores) -> None:
    container = with_image(stores)
    layer = service.create_layer(container)
    service.image_delete("app:1", force=True)
    held = layer.record.chain_id is not None and stores.layers.has_chain(layer.record.chain_id)

    service.release_layer(container.container_id)

    assert held
    assert stores.layers.sizes() == {}


def test_what_cannot_have_a_layer_is_told_why(service: ImageService, stores: Stores) -> None:
    container = with_image(stores)
    service.create_layer(container)

    with pytest.raises(ConflictError, match="mount already exists with name"):
        service.create_layer(container)
    with pytest.raises(NotFoundError):
        service.create_layer(with_image(stores, image_id=Digest.of(b"gone")))
    with pytest.raises(UnsupportedError):
        service.create_layer(with_image(stores, container_id="f" * 64, host_config='{"StorageOpt":{"foo":"1"}}'))
    service.release_layer(container.container_id)


def test_other_operating_systems_are_refused_in_mobys_words(service: ImageService, stores: Stores) -> None:
    asks: list[Callable[[], object]] = [
        lambda: service.create_layer(with_image(stores, platform="windows/amd64")),
        lambda: service.get_layer_by_id("x", "windows"),
        lambda: service.get_layer_mount_id("x", "windows"),
        lambda: service.release_layer("x", "windows"),
        lambda: service.graph_driver_for_os("windows"),
    ]
    for ask in asks:
        with pytest.raises(UnsupportedError, match="operating system is not supported"):
            ask()


def test_the_sizes_of_a_container_without_a_layer_are_nothing_and_the_log_says_so(
    service: ImageService, caplog: pytest.LogCaptureFixture
) -> None:
    assert service.get_container_layer_size("gone") == (0, 0)
    assert "Failed to compute size of container rootfs gone" in caplog.text


def test_every_layer_of_an_image_counts_once_and_those_of_containers_alone_do_not(
    service: ImageService, stores: Stores
) -> None:
    add_image(stores, "one:1", layers=["base", "one"])
    add_image(stores, "two:1", layers=["base", "three"])
    parent = add_image(stores, layers=["base", "parent"], labels={"is": "parent"})
    add_image(stores, layers=["base", "parent", "child"], parent=parent)

    assert service.layer_disk_usage() == 10 * sum(map(len, ["base", "one", "three", "parent", "child"]))


def test_the_driver_says_what_it_is(service: ImageService) -> None:
    driver = service.graph_driver_for_os()

    assert driver in {"overlay2", "vfs"}
    assert list(service.layer_store_status()) == ["linux"]


def test_at_shutdown_what_was_mounted_is_unmounted(service: ImageService, stores: Stores) -> None:
    layer = service.create_layer(with_image(stores))
    layer.mount()

    service.cleanup()

    with pytest.raises(ConflictError, match="not mounted"):
        layer.unmount()
    service.release_layer(layer.record.name)


# --- as the daemon has it ------------------------------------------------------------------------------------------


async def test_the_daemons_key_is_made_at_its_first_start_and_stays(tmp_path: Path) -> None:
    settings, ids = Settings(data_root=tmp_path / "root"), []
    with writing(settings, pytest.fail) as stores:
        made_by_writing = (settings.data_root / "key.json").exists()
        for _ in range(2):
            async with image_service(settings, stores) as service:
                ids.append(service.daemon_id)

    assert not made_by_writing, "who only tags needs no identity"
    assert len(set(ids)) == 1
    (settings.data_root / "key.json").write_text("{")
    with writing(settings, pytest.fail) as stores, pytest.raises(StoreError, match=r"key\.json is damaged"):
        async with image_service(settings, stores):
            pass


class WatchedPusher(SimulatedPusher):
    """Takes note of whom it was to ask, and whether with verified TLS."""

    def __init__(self, registry: SimulatedRegistry) -> None:
        super().__init__(registry)
        self.secure: dict[str, bool] = {}

    def strike(self, kind: str, method: str, endpoint: Endpoint, repository: str, digest: str) -> int | None:
        self.secure[endpoint.host] = endpoint.secure
        return super().strike(kind, method, endpoint, repository, digest)


async def test_a_push_may_ask_the_daemons_insecure_registries_and_the_requests_own(
    stores: Stores, registry: SimulatedRegistry, tmp_path: Path
) -> None:
    pusher = WatchedPusher(registry)
    config = memory_config(stores, registry, tmp_path)
    own = msgspec.structs.replace(config.registry_service, insecure=lambda: InsecureRegistries(["set.test"]))
    pushes = partial(pushing, Settings(data_root=tmp_path), stores, pusher=pusher)
    service = ImageService(
        msgspec.structs.replace(config, registry_service=own, pushes=lambda live: pushes(limits=live))
    )
    await pull(service)

    async with service:
        for host in ("set.test", "asked.test", "other.test"):
            tag = service.tag_image(ONE.image_id, f"{host}/test/image", "1")
            await service.push_image(tag, lambda _: None, insecure=["asked.test"])

    assert pusher.secure == {"set.test": False, "asked.test": False, "other.test": True}
