"""Pruning by Moby's rules (moby-behaviour 6.10), and what layers amount to (1.4), in memory and on disk."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from headway.container_records import ContainerRecord, KeptMount
from headway.errors import ConflictError, InvalidFilterError, InvalidTimeError, StoreError
from headway.interfaces.garbage import Garbage
from headway.interfaces.images import ReferenceStore
from headway.oci.digest import Digest, ImageID
from headway.oci.reference import Reference
from headway.records import Freed
from headway.service.images.holders import Holders
from headway.service.images.listing import Listing
from headway.service.images.prune import Pruner
from headway.service.images.sharing import layer_disk_usage
from headway.service.stores import Stores
from tests.contract.layer_store_contract import chain_id, commit, diff_id
from tests.fakes.house import add_image

ALL = {"dangling": ["false"]}
BY_DIGEST = f"app@{Digest.of(b'manifest')}"
NOW = 1_767_400_000_000_000_000  # 2026-01-03T00:26:40Z


def pruner(stores: Stores) -> Pruner:
    return Pruner(stores, clock=lambda: NOW)


def left(stores: Stores) -> set[ImageID]:
    return {record.image_id for record in stores.images.list()}


def use(stores: Stores, image_id: ImageID) -> None:
    stores.containers.add(
        ContainerRecord(container_id="c" * 64, name="user", image_id=image_id, image="app:1", created_nano=0)
    )


def test_only_images_without_a_tag_go_with_their_digests(stores: Stores) -> None:
    tagged = add_image(stores, "app:1", layers=["base", "one"])
    digest_only = add_image(stores, BY_DIGEST, layers=["base", "two"])
    unnamed = add_image(stores, layers=["base", "three"])

    report = pruner(stores).prune()

    assert left(stores) == {tagged}
    assert set(report.deleted) == {
        ("Untagged", BY_DIGEST),
        ("Deleted", str(digest_only)),
        ("Deleted", str(chain_id("base", "two"))),
        ("Deleted", str(unnamed)),
        ("Deleted", str(chain_id("base", "three"))),
    }
    assert (report.images, report.size) == (2, 10 * (len("two") + len("three")))
    assert [stores.layers.has_tree(diff_id(name)) for name in ("base", "one", "two")] == [True, True, False]


def test_an_image_that_no_pull_would_take_any_more_is_listed_and_goes(stores: Stores) -> None:
    odd = add_image(stores, "odd:1", layers=["base"], config={"config": {"Env": 5}})
    add_image(stores, "app:1", layers=["base", "top"])

    found = Holders(stores).of([diff_id("base")])
    listed = [image.record.image_id for image in Listing(stores).images({"reference": ["odd"]}, shared_size=True)]
    report = pruner(stores).prune(ALL)

    assert (listed, found) == ([odd], {diff_id(name): "app:1" for name in ("base", "top")})
    assert (left(stores), report.kept) == (set(), ())


def test_what_cannot_go_keeps_nobody_from_hearing_what_has(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = add_image(stores, layers=["base"])
    sweep = type(stores.garbage).sweep

    def fail(garbage: Garbage, freed: Freed) -> None:
        sweep(garbage, freed)
        if not freed.chains:  # what no image needed
            raise StoreError("cannot use trees/stuck: it is immutable")

    monkeypatch.setattr(type(stores.garbage), "sweep", fail)
    report = pruner(stores).prune()

    assert (("Deleted", str(gone)) in report.deleted, report.images) == (True, 1)
    assert report.kept == ("cannot use trees/stuck: it is immutable",)


def test_all_images_go_but_for_those_in_use_which_keep_every_name(stores: Stores) -> None:
    used = add_image(stores, "app:1", "other:1", layers=["base"])
    mounted = add_image(stores, "app:2", layers=["mounted"])
    add_image(stores, "app:3", "other:3", BY_DIGEST, layers=["gone"])
    use(stores, used)
    stores.mounts.put(KeptMount(target=Path("/mnt/app"), image_id=mounted, chain_id=None, driver="vfs"))

    report = pruner(stores).prune(ALL)

    assert left(stores) == {used, mounted}
    assert [name.familiar for name, _ in stores.references.list()] == ["app:1", "app:2", "other:1"]
    assert report.kept == ()


def test_parents_stay_as_long_as_a_child_does_and_go_with_it(stores: Stores) -> None:
    parent = add_image(stores, layers=["base"])
    child = add_image(stores, "app:1", layers=["base", "top"], parent=parent)

    pruner(stores).prune()
    between = left(stores)
    pruner(stores).prune(ALL)

    assert between == {parent, child}
    assert left(stores) == set()


@pytest.mark.parametrize(
    ("filters", "gone"),
    [
        ({}, {"old", "new"}),
        ({"label": ["keep"]}, {"new"}),
        ({"label": ["keep=yes", "colour"]}, {"new"}),
        ({"label": ["keep=no"]}, set()),
        ({"label!": ["keep"]}, {"old"}),
        ({"label!": ["keep", "other"]}, {"old", "new"}),  # dropped where all of them match, as in Moby
        ({"until": ["24h"]}, {"old"}),
        ({"until": ["2026-01-01T00:00:00Z"]}, {"old"}),
        ({"until": ["2025-12-31T23:59:59Z"]}, set()),
        ({"until": ["1767300000"], "label": ["keep"]}, set()),
    ],
)
def test_filters_say_which(stores: Stores, filters: dict[str, list[str]], gone: set[str]) -> None:
    names = {
        add_image(stores, layers=["old"], created="2026-01-01T00:00:00Z"): "old",
        add_image(
            stores, layers=["new"], created="2026-01-02T12:00:00Z", labels={"keep": "yes", "colour": "red"}
        ): "new",
    }

    pruner(stores).prune(filters)

    assert {name for image_id, name in names.items() if image_id not in left(stores)} == gone


def test_an_image_without_a_config_does_not_have_a_label(stores: Stores) -> None:
    image_id = add_image(stores, config={"config": None})

    pruner(stores).prune({**ALL, "label": ["keep"]})

    assert left(stores) == {image_id}


@pytest.mark.parametrize("created", ["", "yesterday"])
def test_an_image_that_does_not_say_when_it_was_made_is_not_older_than_anything(stores: Stores, created: str) -> None:
    image_id = add_image(stores, created=created)

    pruner(stores).prune({"until": ["24h"]})
    between = left(stores)
    pruner(stores).prune()

    assert (between, left(stores)) == ({image_id}, set())


@pytest.mark.parametrize(
    ("filters", "error", "message"),
    [
        ({"colour": ["red"]}, InvalidFilterError, "invalid filter 'colour'"),
        ({"dangling": ["perhaps"]}, InvalidFilterError, r"invalid filter 'dangling=\[perhaps\]'"),
        ({"until": ["1h", "2h"]}, InvalidTimeError, "more than one until filter specified"),
        ({"until": ["soon"]}, InvalidTimeError, "invalid time 'soon'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    stores: Stores, filters: dict[str, list[str]], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        pruner(stores).prune(filters)


def test_a_name_that_stands_for_another_image_by_now_stays(stores: Stores) -> None:
    add_image(stores, "app:1", layers=["old"])
    new = add_image(stores, layers=["new"], labels={"keep": "yes"})

    def pull_meanwhile() -> bool:
        stores.references.put_tag(Reference.parse("app:1"), new)
        return False

    pruner(stores).prune({**ALL, "label!": ["keep"]}, stopped=pull_meanwhile)

    assert new in left(stores)
    assert stores.references.get(Reference.parse("app:1")) == new


def test_a_name_that_an_image_got_meanwhile_stays_and_keeps_the_digests_of_its_repository(stores: Stores) -> None:
    other = f"other@{Digest.of(b'manifest')}"
    image = add_image(stores, "app:1", "other:1", BY_DIGEST, other)

    def pull_meanwhile() -> bool:
        stores.references.put_tag(Reference.parse("app:2"), image)
        stores.references.put_digest(Reference.parse(f"app@{Digest.of(b'new')}"), image)
        stores.references.put_digest(Reference.parse(f"other@{Digest.of(b'new')}"), image)
        return False

    report = pruner(stores).prune(ALL, stopped=pull_meanwhile)

    assert stores.references.of(image) == [Reference.parse("app:2"), Reference.parse(f"app@{Digest.of(b'new')}")]
    gone = ["app:1", BY_DIGEST, "other:1", *sorted([other, f"other@{Digest.of(b'new')}"])]
    assert report.deleted == tuple(("Untagged", name) for name in gone)


@pytest.mark.parametrize("count", [2, 50])
def test_the_names_of_an_image_are_read_as_often_however_many_it_has(
    stores: Stores, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = add_image(stores, *(f"app:{number}" for number in range(count)))
    kind, read = type(stores.references), list[ImageID]()
    reading = kind.of

    def noted(self: ReferenceStore, image_id: ImageID) -> list[Reference]:
        read.append(image_id)
        return reading(self, image_id)

    monkeypatch.setattr(kind, "of", noted)
    report = pruner(stores).prune(ALL)

    assert len(report.deleted) == count + 1
    assert read == [image, image]


def test_an_image_that_was_tagged_meanwhile_stays(stores: Stores) -> None:
    image = add_image(stores, layers=["base"])

    def tag_meanwhile() -> bool:
        stores.references.put_tag(Reference.parse("app:1"), image)
        return False

    pruner(stores).prune(stopped=tag_meanwhile)

    assert left(stores) == {image}


def test_one_prune_at_a_time(stores: Stores) -> None:
    add_image(stores, layers=["base"])
    subject = pruner(stores)
    inside, go_on = threading.Event(), threading.Event()

    def wait() -> bool:
        inside.set()
        go_on.wait(30)
        return False

    first = threading.Thread(target=lambda: subject.prune(stopped=wait))
    first.start()
    inside.wait(30)
    with pytest.raises(ConflictError, match=r"^a prune operation is already running$"):
        subject.prune()
    go_on.set()
    first.join()

    assert subject.prune().images == 0
    assert left(stores) == set()


def test_who_leaves_stops_it_between_two_images(stores: Stores) -> None:
    add_image(stores, layers=["one"], created="2026-01-01T00:00:00Z")
    second = add_image(stores, layers=["two"], created="2026-01-02T00:00:00Z")
    commit(stores.layers, "stray")
    asked = iter([False, True])

    report = pruner(stores).prune(stopped=lambda: next(asked))

    assert report.images == 1
    assert second not in left(stores)
    assert len(left(stores)) == 1
    assert stores.layers.has_tree(diff_id("stray"))


def test_it_is_told_with_what_it_freed(stores: Stores) -> None:
    add_image(stores, layers=["base"])

    report = pruner(stores).prune()
    last = stores.events.log.behind(0)[-1]

    assert (last.action, last.actor, last.attributes) == ("prune", "", {"reclaimed": str(report.disk_bytes)})


def test_stopped_pulls_lose_what_they_have_only_when_that_is_asked_for(stores: Stores) -> None:
    with stores.leases.hold("pull app", Digest.of(b"app")) as lease:
        lease.add([commit(stores.layers, "finished")])

    pruner(stores).prune(ALL)
    between = stores.layers.has_tree(diff_id("finished"))
    pruner(stores).prune(unfinished=True)

    assert between
    assert not stores.layers.has_tree(diff_id("finished"))


def test_layers_amount_to_what_images_have_each_once(stores: Stores) -> None:
    parent = add_image(stores, layers=["parent"])
    add_image(stores, "app:1", layers=["base", "one"], parent=parent)
    add_image(stores, layers=["base", "dangling"])
    commit(stores.layers, "stray")
    stores.layers.commit_chain([diff_id("stray")])  # as if only a container held it

    assert layer_disk_usage(stores) == 10 * len("base" + "one" + "dangling")
