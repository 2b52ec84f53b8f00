"""Looking images up, naming them, and what is known of one: in memory and on disk (moby-behaviour 1.5, 6.4 to 6.8)."""

from __future__ import annotations

import json

import msgspec
import pytest

from headway.errors import InvalidReferenceError, NotFoundError, PlatformMismatchError
from headway.oci.digest import Digest, ImageID
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.service.images.history import history_of
from headway.service.images.inspection import details_of
from headway.service.images.lookup import Lookup
from headway.service.images.tagging import tag_image
from headway.service.stores import Stores
from tests.contract.layer_store_contract import diff_id
from tests.fakes import images
from tests.fakes.house import add_image

MANIFEST = Digest.of(b"manifest")
AT = 1_800_000_000_500_000_000


def lookup(stores: Stores, word: str) -> ImageID:
    return Lookup(stores).find(word).image_id


# --- looking up ----------------------------------------------------------------------------------------------------


def test_a_name_wins_over_the_beginning_of_an_id(stores: Stores) -> None:
    named, hidden = add_image(stores), add_image(stores, labels={"is": "hidden"})
    stores.references.put_tag(Reference.parse(hidden.hex[:6]), named)

    assert lookup(stores, hidden.hex[:6]) == named
    assert lookup(stores, hidden.hex[:7]) == hidden
    assert Lookup(stores).resolve(hidden.hex[:6]).name == Reference.parse(f"{hidden.hex[:6]}:latest")
    assert Lookup(stores).resolve(hidden.hex[:7]).name is None


def test_every_spelling_finds_the_image(stores: Stores) -> None:
    image_id = add_image(stores, "app:latest", f"app@{MANIFEST}")

    words = ["app", "app:latest", "docker.io/library/app", f"app@{MANIFEST}", f"app:9@{MANIFEST}"]
    words += [image_id.hex, str(image_id), image_id.hex[:1], f"sha256:{image_id.hex[:5]}"]

    assert {lookup(stores, word) for word in words} == {image_id}


def test_a_whole_id_is_never_a_repositorys_digest(stores: Stores) -> None:
    add_image(stores, f"app@{MANIFEST}")

    for word in (str(MANIFEST), MANIFEST.hex):  # told in full, as by Docker
        with pytest.raises(NotFoundError, match=f"no such image: {MANIFEST}"):
            lookup(stores, word)


def test_the_beginning_of_two_ids_finds_neither(stores: Stores) -> None:
    ids = [add_image(stores, labels={"number": str(number)}) for number in range(17)]
    digits = [image_id.hex[0] for image_id in ids]
    twice = next(digit for digit in digits if digits.count(digit) > 1)

    with pytest.raises(NotFoundError, match=f"{twice}:latest"):
        lookup(stores, twice)


@pytest.mark.parametrize("word", ["UPPER", "a b", ":tag", "app:"])
def test_what_is_no_name_is_refused(stores: Stores, word: str) -> None:
    with pytest.raises(InvalidReferenceError):
        lookup(stores, word)


def test_an_image_of_another_platform_is_told_with_the_error(stores: Stores) -> None:
    image_id = add_image(stores, "app:1")

    assert Lookup(stores).for_platform("app:1", Platform("linux", "amd64")).image_id == image_id
    with pytest.raises(PlatformMismatchError) as caught:
        Lookup(stores).for_platform("app:1", Platform("linux", "arm64"))

    assert str(caught.value) == (
        "image with reference app:1 was found but does not match the specified platform:"
        " wanted linux/arm64, actual: linux/amd64"
    )
    assert caught.value.image_id == image_id


def test_an_image_without_a_variant_suits_every_variant(stores: Stores) -> None:
    image_id = add_image(stores, "app:1")
    record = stores.images.get(image_id)
    assert record is not None
    stores.images.put(msgspec.structs.replace(record, platform="linux/arm"))

    assert Lookup(stores).for_platform("app:1", Platform("linux", "arm", "v7")).image_id == image_id


def test_an_index_may_offer_an_image_for_a_platform_that_its_config_does_not_name(stores: Stores) -> None:
    built = images.image(index=True, platforms=("linux/riscv64",))
    index = Digest(built.manifest_digest)
    stores.blobs.put(index, built.blobs[index])
    image_id = add_image(stores, f"app@{index}")
    record = stores.images.get(image_id)
    assert record is not None
    manifest = json.loads(built.blobs[index])["manifests"][0]["digest"]
    stores.images.put(msgspec.structs.replace(record, manifest=Digest(manifest)))

    assert Lookup(stores).for_platform(f"app@{index}", Platform("linux", "riscv64")).image_id == image_id
    with pytest.raises(PlatformMismatchError):
        Lookup(stores).for_platform(f"app@{index}", Platform("linux", "arm64"))


# --- naming --------------------------------------------------------------------------------------------------------


def told(stores: Stores) -> list[tuple[str, str, str]]:
    return [(each.action, each.actor, each.attributes["name"]) for each in stores.events.log.behind(0)]


@pytest.mark.parametrize(
    ("repository", "tag", "recorded", "name"),
    [
        ("app", "", "app:latest", "app"),
        ("app", "2", "app:2", "app:2"),
        ("app:1", "2", "app:2", "app:2"),
        ("docker.io/library/app:1", "", "app:1", "app:1"),
        (f"app@{MANIFEST}", "3", "app:3", "app:3"),
        (f"app:4@{MANIFEST}", "", "app:4", "app:4"),
    ],
)
def test_a_tag_is_recorded_and_told_as_it_was_given(
    stores: Stores, repository: str, tag: str, recorded: str, name: str
) -> None:
    image_id = add_image(stores)

    reference = tag_image(stores, image_id.hex, repository, tag, clock=lambda: AT)

    assert reference.familiar == recorded
    assert stores.references.of(image_id) == [reference]
    assert told(stores) == [("tag", image_id, name)]
    assert Lookup(stores).find(recorded).last_tagged == 1_800_000_000.5


def test_a_tag_that_moves_is_told_of_both_images(stores: Stores) -> None:
    old, new = add_image(stores, "app:1"), add_image(stores, labels={"is": "new"})

    tag_image(stores, new.hex, "app:1")
    tag_image(stores, new.hex, "app:1")

    assert lookup(stores, "app:1") == new
    assert told(stores) == [("untag", old, old), ("tag", new, "app:1"), ("tag", new, "app:1")]


@pytest.mark.parametrize(
    ("repository", "tag", "said"),
    [
        (f"app@{MANIFEST}", "", "refusing to create a tag with a digest reference"),
        ("sha256", "", "refusing to create an ambiguous tag using digest algorithm as name"),
        ("sha256:1", "", "refusing to create an ambiguous tag using digest algorithm as name"),
        ("", "", "invalid reference format"),
        ("App", "", "must be lowercase"),
        ("app", "x" * 129, "invalid tag format"),
        ("f" * 64, "", "cannot specify 64-byte hexadecimal strings"),
    ],
)
def test_what_cannot_be_a_tag_is_refused_in_mobys_words(stores: Stores, repository: str, tag: str, said: str) -> None:
    image_id = add_image(stores, "app:1")

    with pytest.raises(InvalidReferenceError, match=said):
        tag_image(stores, "app:1", repository, tag)

    assert [reference.familiar for reference in stores.references.of(image_id)] == ["app:1"]
    assert told(stores) == []


def test_an_image_that_is_not_here_gets_no_name(stores: Stores) -> None:
    with pytest.raises(NotFoundError):
        tag_image(stores, "nothing", "app:1")

    assert stores.references.list() == []


# --- history and details -------------------------------------------------------------------------------------------

STEPS: list[dict[str, object]] = [
    {"created": "2026-01-01T00:00:00Z", "created_by": "ADD base"},
    {"created": "2026-01-02T00:00:00Z", "created_by": "ENV a=1", "empty_layer": True},
    {"created": "2026-01-03T00:00:00Z", "created_by": "COPY top", "comment": "buildkit"},
]


def test_the_steps_of_an_image_name_it_and_its_parents(stores: Stores) -> None:
    parent = add_image(stores, "base:1", layers=["base"], history=STEPS[:2])
    image_id = add_image(
        stores, "app:1", "app:2", f"app@{MANIFEST}", layers=["base", "top"], history=STEPS, parent=parent
    )

    steps = history_of(stores, "app:1")

    assert [(step.created_by, step.size, step.image_id, step.tags, step.comment) for step in steps] == [
        ("COPY top", 30, image_id, ("app:1", "app:2"), "buildkit"),
        ("ENV a=1", 0, parent, ("base:1",), ""),
        ("ADD base", 40, None, (), ""),
    ]
    assert steps[0].created == "2026-01-03T00:00:00Z"


def test_an_image_without_history_has_no_steps(stores: Stores) -> None:
    add_image(stores, "app:1", layers=["base"])

    assert history_of(stores, "app:1") == []


def test_everything_that_is_known_of_an_image(stores: Stores) -> None:
    parent = add_image(stores, labels={"is": "parent"})
    more = {"author": "Zoë", "docker_version": "20.10.9", "variant": "v2", "history": STEPS}
    image_id = add_image(
        stores, "app:1", f"app@{MANIFEST}", layers=["base", "top"], labels={"a": "1"}, parent=parent, config=more
    )
    tag_image(stores, "app:1", "app:2", clock=lambda: AT)

    details = details_of(stores, "app:1", driver="vfs")

    assert details.image_id == image_id
    assert [name.familiar for name in details.tags] == ["app:1", "app:2"]
    assert [name.familiar for name in details.digests] == [f"app@{MANIFEST}"]
    assert (details.parent, details.size, details.last_tagged) == (parent, 70, 1_800_000_000.5)
    assert (details.author, details.docker_version, details.comment) == ("Zoë", "20.10.9", "buildkit")
    assert details.platform == Platform("linux", "amd64", "v2")
    assert details.config == {"Labels": {"a": "1"}}
    assert details.diff_ids == (diff_id("base"), diff_id("top"))
    assert (details.driver, details.driver_data) == ("vfs", {})


def test_a_config_that_says_nothing_of_containers_is_none(stores: Stores) -> None:
    image_id = add_image(stores, config={"config": None, "comment": "own"})

    details = details_of(stores, image_id.hex)

    assert (details.config, details.comment, details.driver_data) == (None, "own", {})


def test_overlay2_says_where_the_layers_lie(stores: Stores) -> None:
    image_id = add_image(stores, layers=["base", "middle", "top"])

    data = details_of(stores, image_id.hex, driver="overlay2").driver_data

    paths = [str(tree.path) for tree in stores.layers.trees(Lookup(stores).find(image_id.hex).chain_id)]
    assert data == {"UpperDir": paths[2], "LowerDir": f"{paths[1]}:{paths[0]}"}


def test_a_layer_that_is_there_twice_is_named_once_for_the_kernel_stacks_none_twice(stores: Stores) -> None:
    image_id = add_image(stores, layers=["same", "other", "same"])

    data = details_of(stores, image_id.hex, driver="overlay2").driver_data

    paths = [str(tree.path) for tree in stores.layers.trees(Lookup(stores).find(image_id.hex).chain_id)]
    assert data == {"UpperDir": paths[2], "LowerDir": paths[1]}
