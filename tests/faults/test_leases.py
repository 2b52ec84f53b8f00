"""What pulls rely on stays, whoever removes and prunes meanwhile; and goes when nobody wants it any more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from headway.composition.pulls import pulling
from headway.composition.writing import writing
from headway.distribution.endpoints import InsecureRegistries
from headway.oci.reference import Reference
from headway.service.images.delete import delete_image
from headway.service.images.prune import Pruner
from headway.service.registries.remote_image import PullRequest
from headway.service.stores import Stores
from headway.service.transfers.progress import LayerProgress, Phase, PullDone, PullEvent, PullStarted
from headway.settings import Settings
from tests.fakes import images
from tests.faults.pull import AMD64, images_listed, litter, pull
from tests.faults.registry import Registry
from tests.faults.story import Fault, SlowResponse, Status

BASE, BIG = images.noise_layer(60_000, seed=1), images.noise_layer(300_000, seed=2)
APP = images.image([BASE, BIG], index=True)
OTHER = images.image([BASE, {"other": b"other"}], tag="other")
NEWER = images.image([BASE, {"newer": b"newer"}])


def first_layer_done(event: PullEvent) -> bool:
    return isinstance(event, LayerProgress) and event.digest == APP.layers[0] and event.phase is Phase.DONE


def stop_behind_the_first_layer(registry: Registry, root: Path) -> None:
    """Pull until one of two layers is whole."""
    missing = Status(404), SlowResponse(0.5)  # the other one is not to be missed before this one is here
    registry.faults = [Fault(effect, kind="blob", digest=APP.layers[1]) for effect in missing]
    outcome = pull(f"{registry.host}/test/image", root, stop=first_layer_done)
    assert outcome.done is None
    registry.faults = []
    registry.log.clear()


def fetched(registry: Registry) -> set[str]:
    return {line.reply.digest for line in registry.requests("blob")}


def prune(root: Path, *, unfinished: bool = False) -> None:
    with writing(Settings(data_root=root), tell=pytest.fail) as stores:
        Pruner(stores).prune({"dangling": ["false"]}, unfinished=unfinished)


@pytest.mark.parametrize("times", [1, 2])
def test_a_stopped_pulls_layers_outlive_starts_and_prunes(tmp_path: Path, times: int) -> None:
    with Registry([APP]) as registry:
        stop_behind_the_first_layer(registry, tmp_path)
        for _ in range(times):
            prune(tmp_path)

        outcome = pull(f"{registry.host}/test/image", tmp_path)

    assert outcome.done is not None
    assert APP.layers[0] not in fetched(registry)
    assert outcome.done.receipt.here >= 60_000


def test_removing_an_image_takes_nothing_from_a_stopped_pull(tmp_path: Path) -> None:
    with Registry([APP, OTHER]) as registry:
        pull(f"{registry.host}/test/image:other", tmp_path)
        stop_behind_the_first_layer(registry, tmp_path)
        with writing(Settings(data_root=tmp_path), tell=pytest.fail) as stores:
            delete_image(stores, f"{registry.host}/test/image:other")

        outcome = pull(f"{registry.host}/test/image", tmp_path)

    assert outcome.done is not None
    assert APP.layers[0] not in fetched(registry)


def test_unfinished_things_go_when_that_is_asked_for(tmp_path: Path) -> None:
    with Registry([APP]) as registry:
        stop_behind_the_first_layer(registry, tmp_path)
        prune(tmp_path, unfinished=True)
        left = {part: list((tmp_path / part).iterdir()) for part in ("trees", "ingest", "blobs/sha256", "tmp")}

        outcome = pull(f"{registry.host}/test/image", tmp_path)

    assert left == {"trees": [], "ingest": [], "blobs/sha256": [], "tmp": []}
    assert outcome.done is not None


def test_a_pull_that_was_overtaken_by_a_newer_tag_leaves_nothing(tmp_path: Path) -> None:
    with Registry([APP]) as registry:
        stop_behind_the_first_layer(registry, tmp_path)
        registry.add(NEWER)
        assert pull(f"{registry.host}/test/image", tmp_path).done is not None

    prune_nothing_but_garbage(tmp_path)
    assert images_listed(tmp_path) == [NEWER.image_id]
    assert {path.name for path in (tmp_path / "trees").iterdir()} == {
        diff_id.replace(":", "-") for diff_id in NEWER.diff_ids
    }
    assert len(list((tmp_path / "blobs" / "sha256").iterdir())) == 2


def prune_nothing_but_garbage(root: Path) -> None:
    with writing(Settings(data_root=root), tell=pytest.fail) as stores:
        assert stores.leases.idle() == []
        Pruner(stores).prune()


def test_a_complete_pull_keeps_its_index_and_no_lease(tmp_path: Path) -> None:
    with Registry([APP]) as registry:
        assert pull(f"{registry.host}/test/image", tmp_path).done is not None
    prune_nothing_but_garbage(tmp_path)

    blobs = {f"sha256:{path.name}" for path in (tmp_path / "blobs" / "sha256").iterdir()}

    assert len(blobs) == 3
    assert {APP.manifest_digest, APP.image_id} <= blobs
    assert litter(tmp_path) == []


@pytest.mark.parametrize("when", ["the config is here", "a layer is done", "the last layer is done"])
def test_a_prune_beside_a_pull_takes_nothing_from_it(tmp_path: Path, when: str) -> None:
    done: list[str] = []

    def is_time(event: PullEvent) -> bool:
        if isinstance(event, LayerProgress) and event.phase in (Phase.DONE, Phase.HERE):
            done.append(event.digest)
        return {
            "the config is here": isinstance(event, PullStarted),
            "a layer is done": len(done) == 1,
            "the last layer is done": len(done) == 2,
        }[when]

    with Registry([APP, OTHER]) as registry:
        pull(f"{registry.host}/test/image:other", tmp_path)  # its layer is what the pull finds here
        settings = Settings(data_root=tmp_path)
        with writing(settings, tell=pytest.fail) as stores:
            result = asyncio.run(_pull_and_prune(settings, stores, f"{registry.host}/test/image", is_time))
            trees = stores.layers.trees(stores.images.list()[0].chain_id)

        assert result is not None
        assert images_listed(tmp_path) == [APP.image_id]
        assert [tree.path.is_dir() for tree in trees] == [True, True]
        prune_nothing_but_garbage(tmp_path)
        assert images_listed(tmp_path) == [APP.image_id]


async def _pull_and_prune(settings: Settings, stores: Stores, name: str, is_time: object) -> PullDone:
    pruned: list[bool] = []

    def report(event: PullEvent) -> None:
        assert callable(is_time)
        if is_time(event) and not pruned:
            pruned.append(True)
            Pruner(stores).prune({"dangling": ["false"]}, unfinished=True)

    request = PullRequest(
        reference=Reference.parse(name).with_default_tag(),
        platform=AMD64,
        mirrors=(),
        insecure=InsecureRegistries(),
    )
    async with pulling(settings, stores) as puller:
        result = await puller.pull(request, report)
    assert pruned
    return result
