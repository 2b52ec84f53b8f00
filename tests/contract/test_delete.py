"""Removing names and images by Moby's rules (moby-behaviour 6.9), in memory and on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.container_records import ContainerRecord, KeptMount
from headway.errors import ConflictError, InvalidReferenceError, NotFoundError, StoreError
from headway.oci.digest import ChainID, Digest, ImageID, chain_ids
from headway.oci.reference import Reference
from headway.records import Freed
from headway.service.images.conflicts import Uses, conflict_of, is_single
from headway.service.images.delete import delete_image
from headway.service.stores import Stores
from tests.contract.layer_store_contract import diff_id
from tests.fakes.house import add_image

MANIFEST, OTHER = Digest.of(b"manifest"), Digest.of(b"other")
BY_DIGEST = f"app@{MANIFEST}"
CONTAINER = "c0ffee" * 10 + "0000"


def chains(*layers: str) -> list[ChainID]:
    """Return the chains of these layers, top first."""
    return chain_ids([diff_id(name) for name in layers])[::-1]


def told(stores: Stores) -> list[tuple[str, str]]:
    """Return what was told, and of whom."""
    return [(event.action, event.actor) for event in stores.events.log.behind(0)]


def untagged(*names: str) -> list[tuple[str, str]]:
    return [("Untagged", name) for name in names]


def deleted(*digests: str) -> list[tuple[str, str]]:
    return [("Deleted", str(digest)) for digest in digests]


def names(stores: Stores) -> list[str]:
    return [reference.familiar for reference, _ in stores.references.list()]


def use(stores: Stores, image_id: ImageID) -> None:
    """Let a container be created from an image."""
    stores.containers.add(
        ContainerRecord(container_id=CONTAINER, name="user", image_id=image_id, image="app:1", created_nano=0)
    )


def mount(stores: Stores, image_id: ImageID, *, container: bool = False) -> None:
    """Let an image, or the container of it, be mounted to stay."""
    if container:
        with stores.rw_layers.prepare(None, init=False) as draft:
            draft.publish(CONTAINER)
    stores.mounts.put(
        KeptMount(
            target=Path("/mnt/app"),
            image_id=image_id,
            chain_id=None,
            driver="vfs",
            rw_layer=CONTAINER if container else None,
        )
    )


def conflict(stores: Stores, word: str, *, force: bool = False) -> str:
    """Return why an image is not removed; nothing of it may have changed."""
    before = names(stores), told(stores), stores.images.count()
    with pytest.raises(ConflictError) as caught:
        delete_image(stores, word, force=force)
    assert (names(stores), told(stores), stores.images.count()) == before
    return str(caught.value)


# --- by name -------------------------------------------------------------------------------------------------------


def test_the_last_name_takes_the_image_and_its_layers_along(stores: Stores) -> None:
    image_id = add_image(stores, "app:1", layers=["base", "top"])

    done = delete_image(stores, "app:1")

    assert done == untagged("app:1") + deleted(image_id, *chains("base", "top"))
    assert told(stores) == [("untag", image_id), ("delete", image_id)]
    assert (names(stores), stores.images.count()) == ([], 0)
    assert not stores.layers.has_tree(diff_id("base"))


def test_no_tag_means_latest(stores: Stores) -> None:
    image_id = add_image(stores, "app")

    assert delete_image(stores, "docker.io/library/app") == untagged("app:latest") + deleted(image_id)


def test_another_name_keeps_the_image(stores: Stores) -> None:
    image_id = add_image(stores, "app:1", "app:2")

    assert delete_image(stores, "app:1") == untagged("app:1")
    assert told(stores) == [("untag", image_id)]
    assert names(stores) == ["app:2"]


def test_layers_that_others_have_stay(stores: Stores) -> None:
    image_id = add_image(stores, "app:1", layers=["base", "top"])
    add_image(stores, "other:1", layers=["base"])

    assert delete_image(stores, "app:1") == untagged("app:1") + deleted(image_id, chains("base", "top")[0])
    assert stores.layers.has_chain(chains("base")[0])


def test_the_digests_of_a_repository_go_with_its_last_tag_and_that_is_told(stores: Stores) -> None:
    image_id = add_image(stores, "app:1", "app:2", BY_DIGEST, f"team/app@{OTHER}")

    first, second = delete_image(stores, "app:1"), delete_image(stores, "app:2")

    assert first == untagged("app:1")
    assert second == untagged("app:2", BY_DIGEST)
    assert names(stores) == [f"team/app@{OTHER}"]
    assert told(stores) == [("untag", image_id)] * 3


def test_a_digest_alone_can_be_removed_and_keeps_the_tag(stores: Stores) -> None:
    add_image(stores, "app:1", BY_DIGEST)

    assert delete_image(stores, BY_DIGEST) == untagged(BY_DIGEST)
    assert names(stores) == ["app:1"]


def test_a_tag_beside_a_digest_does_not_count(stores: Stores) -> None:
    image_id = add_image(stores, BY_DIGEST)

    assert delete_image(stores, f"app:9@{MANIFEST}") == untagged(BY_DIGEST) + deleted(image_id)


def test_the_last_name_of_an_image_that_others_were_made_from_goes_alone(stores: Stores) -> None:
    parent = add_image(stores, "base:1")
    add_image(stores, "child:1", parent=parent, labels={"is": "child"})

    assert delete_image(stores, "base:1") == untagged("base:1")
    assert stores.images.get(parent) is not None


def test_the_last_name_is_kept_for_a_container_unless_it_is_forced(stores: Stores) -> None:
    image_id = add_image(stores, "app:1", BY_DIGEST)
    use(stores, image_id)

    assert conflict(stores, "app:1") == (
        'conflict: unable to remove repository reference "app:1" (must force) - container c0ffeec0ffee is using its'
        f" referenced image {image_id.short}"
    )
    assert delete_image(stores, "app:1", force=True) == untagged("app:1", BY_DIGEST) + deleted(image_id)


def test_one_of_several_names_is_not_kept_for_a_container(stores: Stores) -> None:
    image_id = add_image(stores, "app:1", "app:2")
    use(stores, image_id)

    assert delete_image(stores, "app:1") == untagged("app:1")


def test_forced_under_a_container_in_use_the_name_goes_alone(stores: Stores) -> None:
    image_id = add_image(stores, "app:1")
    use(stores, image_id)
    mount(stores, image_id, container=True)

    assert delete_image(stores, "app:1", force=True) == untagged("app:1")
    assert stores.images.get(image_id) is not None


def test_the_last_name_is_kept_for_a_mount_too(stores: Stores) -> None:
    image_id = add_image(stores, "app:1")
    mount(stores, image_id)

    assert conflict(stores, "app:1") == (
        'conflict: unable to remove repository reference "app:1" (must force)'
        f" - its image {image_id.short} is mounted at /mnt/app"
    )


# --- by ID ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [4, 12, 64])
def test_an_id_removes_the_image_and_its_name(stores: Stores, length: int) -> None:
    image_id = add_image(stores, "app:1", BY_DIGEST)

    done = delete_image(stores, image_id.hex[:length])

    assert done == untagged("app:1", BY_DIGEST) + deleted(image_id)
    assert told(stores) == [("untag", image_id), ("untag", image_id), ("delete", image_id)]


def test_an_image_without_a_name_is_removed_by_its_id(stores: Stores) -> None:
    image_id = add_image(stores)

    assert delete_image(stores, str(image_id)) == deleted(image_id)


@pytest.mark.parametrize("others", [("app:2",), (f"team/app@{OTHER}",), ("team/app:1", BY_DIGEST)])
def test_several_names_keep_an_image_unless_it_is_forced(stores: Stores, others: tuple[str, ...]) -> None:
    image_id = add_image(stores, "app:1", *others)

    assert conflict(stores, image_id.hex) == (
        f"conflict: unable to delete {image_id.short} (must be forced) - image is referenced in multiple repositories"
    )
    done = delete_image(stores, image_id.hex, force=True)

    assert done[-1:] == deleted(image_id)
    assert {item for what, item in done if what == "Untagged"} == {"app:1", *others}


def test_digests_of_one_repository_are_one_name(stores: Stores) -> None:
    image_id = add_image(stores, BY_DIGEST, f"app@{OTHER}")

    assert delete_image(stores, image_id.hex)[-1:] == deleted(image_id)


@pytest.mark.parametrize("force", [False, True])
def test_an_image_that_others_were_made_from_stays(stores: Stores, force: bool) -> None:  # noqa: FBT001 - both ways
    parent = add_image(stores, "base:1")
    add_image(stores, "child:1", parent=parent, labels={"is": "child"})

    assert conflict(stores, parent.hex, force=force) == (
        f"conflict: unable to delete {parent.short} (cannot be forced) - image has dependent child images"
    )


@pytest.mark.parametrize("force", [False, True])
def test_an_image_under_a_container_in_use_stays(stores: Stores, force: bool) -> None:  # noqa: FBT001 - both ways
    image_id = add_image(stores, "app:1")
    use(stores, image_id)
    mount(stores, image_id, container=True)

    assert conflict(stores, image_id.hex, force=force) == (
        f"conflict: unable to delete {image_id.short} (cannot be forced)"
        " - image is being used by running container c0ffeec0ffee"
    )


def test_an_image_under_a_container_stays_unless_it_is_forced(stores: Stores) -> None:
    image_id = add_image(stores, "app:1", layers=["base"])
    use(stores, image_id)
    with stores.rw_layers.prepare(chains("base")[0], init=False) as draft:
        draft.publish(CONTAINER)

    assert conflict(stores, image_id.hex) == (
        f"conflict: unable to delete {image_id.short} (must be forced)"
        " - image is being used by stopped container c0ffeec0ffee"
    )
    assert delete_image(stores, image_id.hex, force=True) == untagged("app:1") + deleted(image_id)
    assert stores.layers.has_chain(chains("base")[0]), "the container has its layers still"


def test_an_image_that_is_mounted_stays_unless_it_is_forced(stores: Stores) -> None:
    image_id = add_image(stores, "app:1")
    mount(stores, image_id)

    assert conflict(stores, image_id.hex).endswith("(must be forced) - image is mounted at /mnt/app")
    assert delete_image(stores, image_id.hex, force=True)[-1:] == deleted(image_id)


def test_a_name_that_looks_like_the_images_id_is_a_name(stores: Stores) -> None:
    image_id = add_image(stores, "app:1")
    stores.references.put_tag(Reference.parse(image_id.hex[:4]), image_id)

    assert delete_image(stores, image_id.hex[:4]) == untagged(f"{image_id.hex[:4]}:latest")
    assert names(stores) == ["app:1"]


# --- parents -------------------------------------------------------------------------------------------------------


def line(stores: Stores, *names: str) -> list[ImageID]:
    """Return images of which each was made from the one before; an empty name is none."""
    line: list[ImageID] = []
    for number, name in enumerate(names):
        parent = line[-1] if line else None
        line.append(add_image(stores, *filter(None, [name]), parent=parent, labels={"number": str(number)}))
    return line


def test_parents_go_as_far_as_nobody_needs_them(stores: Stores) -> None:
    images = line(stores, "", "named:1", "", "", "top:1")

    assert delete_image(stores, "top:1") == untagged("top:1") + deleted(*images[:1:-1])
    assert [action for action, _ in told(stores)] == ["untag", "delete", "delete", "delete"]
    assert set(images[:2]) == {record.image_id for record in stores.images.list()}


def test_parents_go_though_something_of_the_image_stays(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    line(stores, "", "", "top:1")
    sweep, swept = stores.garbage.sweep, []

    def sweep_most(freed: Freed) -> None:
        swept.append(freed)
        sweep(freed)
        if len(swept) == 1:
            raise StoreError("something immutable")

    monkeypatch.setattr(stores.garbage, "sweep", sweep_most)
    with pytest.raises(StoreError, match="something immutable"):
        delete_image(stores, "top:1")

    assert len(swept) == 3
    assert stores.images.count() == 0


def test_parents_stay_where_that_is_asked_for(stores: Stores) -> None:
    images = line(stores, "", "top:1")

    assert delete_image(stores, "top:1", prune=False) == untagged("top:1") + deleted(images[1])


def test_a_parent_that_has_other_children_or_a_container_stays_even_where_the_child_is_forced(stores: Stores) -> None:
    images = line(stores, "", "", "top:1")
    use(stores, images[1])

    assert delete_image(stores, "top:1", force=True) == untagged("top:1") + deleted(images[2])
    add_image(stores, "brother:1", parent=images[0], labels={"is": "brother"})
    assert delete_image(stores, images[1].hex, force=True) == deleted(images[1])
    assert stores.images.get(images[0]) is not None


# --- the rest ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["", "  "])
def test_a_blank_name_is_refused_in_dockers_words(stores: Stores, word: str) -> None:
    with pytest.raises(InvalidReferenceError, match=r"^image name cannot be blank$"):
        delete_image(stores, word)


@pytest.mark.parametrize("word", ["nothing", "app:2", f"app@{OTHER}", "f" * 64, "sha256:" + "f" * 64])
def test_what_is_not_here_is_not_found(stores: Stores, word: str) -> None:
    add_image(stores, "app:1")

    with pytest.raises(NotFoundError):
        delete_image(stores, word)


def test_conflicts_are_met_in_mobys_order() -> None:
    """Take away one reason after the other."""
    names = (Reference.parse("app:1"),)
    uses = [
        Uses(children=1, running="r", stopped="s", mounted="m", names=names),
        Uses(running="r", stopped="s", mounted="m", names=names),
        Uses(stopped="s", mounted="m", names=names),
        Uses(stopped="s", mounted="m"),
        Uses(mounted="m"),
        Uses(),
    ]

    found = [conflict_of(each, force=False) for each in uses]

    assert [(each.reason.split(" ")[1:4], each.is_hard) if each else None for each in found] == [
        (["has", "dependent", "child"], True),
        (["is", "being", "used"], True),
        (["is", "referenced", "in"], False),
        (["is", "being", "used"], False),
        (["is", "mounted", "at"], False),
        None,
    ]
    assert [conflict_of(each, force=True) is None for each in uses] == [False, False, True, True, True, True]


@pytest.mark.parametrize(
    ("words", "single"),
    [
        ([], False),
        (["a:1"], True),
        ([f"a@{MANIFEST}"], True),
        (["a:1", "a:2"], False),
        (["a:1", f"a@{MANIFEST}"], True),
        (["a:1", f"a@{MANIFEST}", f"a@{OTHER}"], True),
        (["a:1", f"b@{MANIFEST}"], False),
        (["a:1", f"a@{MANIFEST}", f"b@{MANIFEST}"], False),
        ([f"a@{MANIFEST}", f"a@{OTHER}"], True),
        ([f"a@{MANIFEST}", f"b@{OTHER}"], False),
    ],
)
def test_what_counts_as_one_name(words: list[str], single: bool) -> None:  # noqa: FBT001 - drawn from the table
    assert is_single([Reference.parse(word) for word in words]) is single
