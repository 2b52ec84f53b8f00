"""Which images a list shows (moby-behaviour 6.3), with the stores in memory and with those on disk."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from headway.container_records import ContainerRecord
from headway.errors import InvalidFilterError, InvalidTimeError, NotFoundError, StoreCorruptError
from headway.oci.digest import ChainID, Digest, ImageID
from headway.oci.reference import Reference
from headway.records import ChainSize
from headway.service.images.delete import delete_image
from headway.service.images.listing import ListedImage, Listing
from headway.service.queries.moments import SECOND
from headway.service.stores import Stores
from tests.fakes.house import add_image

MANIFEST = Digest.of(b"manifest")
NOON = "2026-01-02T12:00:00Z"


def shown(listed: list[ListedImage]) -> list[list[str]]:
    """Return the names of each image; of one without names, the last label it has."""
    return [[name.familiar for name in (*image.tags, *image.digests)] or list(image.labels) for image in listed]


@pytest.fixture
def stocked(stores: Stores) -> Stores:
    """Give images made at 9, 10, 11, 12, 13 and 14 o'clock: the last is made from the one before it."""
    add_image(stores, "old:1", "old:2", "ghcr.io/acme/old:1", created="2026-01-02T09:00:00Z", labels={"a": "1"})
    add_image(stores, f"digest@{MANIFEST}", created="2026-01-02T10:00:00Z")
    add_image(stores, "middle:1", f"middle@{MANIFEST}", created="2026-01-02T11:00:00Z", labels={"a": "2", "b": ""})
    add_image(stores, created=NOON, labels={"dangling": ""})
    parent = add_image(stores, created="2026-01-02T13:00:00Z", labels={"parent": ""})
    add_image(stores, "new:1", created="2026-01-02T14:00:00Z", parent=parent)
    return stores


NEW, MIDDLE, OLD = ["new:1"], ["middle:1", f"middle@{MANIFEST}"], ["old:1", "old:2", "ghcr.io/acme/old:1"]
BY_DIGEST, DANGLING, PARENT = [f"digest@{MANIFEST}"], ["dangling"], ["parent"]
ALL = [NEW, PARENT, DANGLING, MIDDLE, BY_DIGEST, OLD]
USUAL = [NEW, DANGLING, MIDDLE, BY_DIGEST, OLD]


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, USUAL),
        ({"dangling": ["true"]}, [DANGLING, BY_DIGEST]),
        ({"dangling": ["false"]}, [NEW, MIDDLE, BY_DIGEST, OLD]),
        ({"dangling": ["1"]}, [DANGLING, BY_DIGEST]),
        ({"before": ["middle:1"]}, [BY_DIGEST, OLD]),
        ({"before": ["new:1", "middle:1"]}, [BY_DIGEST, OLD]),
        ({"since": ["middle:1"]}, [NEW, DANGLING]),
        ({"since": ["old:1", "middle:1"]}, [NEW, DANGLING]),
        ({"since": ["old:1"], "before": ["new:1"]}, [DANGLING, MIDDLE, BY_DIGEST]),
        ({"until": ["2026-01-02T10:30:00Z"]}, [BY_DIGEST, OLD]),
        ({"until": ["90m"]}, [BY_DIGEST, OLD]),
        ({"label": ["a"]}, [MIDDLE, OLD]),
        ({"label": ["a=1"]}, [OLD]),
        ({"label": ["a", "b"]}, [MIDDLE]),
        ({"label": ["c"]}, []),
        ({"reference": ["old"]}, [["old:1", "old:2"]]),
        ({"reference": ["*:1"]}, [NEW, ["middle:1"], ["old:1"]]),
        ({"reference": ["ghcr.io/*/*"]}, [["ghcr.io/acme/old:1"]]),
        ({"reference": ["new:1", "old:2"]}, [NEW, ["old:2"]]),
        ({"reference": ["nothing"]}, []),
        ({"reference": ["middle*"], "dangling": ["true"]}, []),
        ({"reference": [f"middle@{MANIFEST}"], "dangling": ["true"]}, [[f"middle@{MANIFEST}"]]),
    ],
)
def test_filters_show_what_docker_shows(
    stocked: Stores, filters: dict[str, list[str]], wanted: list[list[str]]
) -> None:
    noon = 1_767_355_200 * SECOND

    listed = Listing(stocked, clock=lambda: noon).images(filters)

    assert shown(listed) == wanted


def test_what_others_were_made_from_is_shown_when_all_is_asked_for(stocked: Stores) -> None:
    listing = Listing(stocked)

    assert shown(listing.images(intermediate=True)) == ALL
    assert shown(listing.images({"dangling": ["true"]}, intermediate=True)) == [DANGLING, BY_DIGEST]


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"foo": ["x"]}, "invalid filter 'foo'"),
        ({"dangling": ["maybe"]}, "invalid filter 'dangling=[maybe]'"),
        ({"label!": ["x"]}, "invalid filter 'label!'"),
        ({"reference": ["["]}, "invalid filter 'reference=[[]'"),
    ],
)
def test_a_filter_that_is_none_is_refused(stocked: Stores, filters: dict[str, list[str]], said: str) -> None:
    with pytest.raises(InvalidFilterError) as caught:
        Listing(stocked).images(filters)

    assert str(caught.value) == said


def test_a_moment_that_is_none_and_an_image_that_is_not_here_are_refused(stocked: Stores) -> None:
    with pytest.raises(InvalidTimeError):
        Listing(stocked).images({"until": ["soon"]})
    for key in ("before", "since"):
        with pytest.raises(NotFoundError):
            Listing(stocked).images({key: ["nothing"]})


def test_an_image_that_does_not_say_when_it_was_made_is_in_no_span_of_time(stores: Stores) -> None:
    add_image(stores, "timeless:1", created="")
    add_image(stores, "timely:1")

    assert shown(Listing(stores).images({"since": ["timeless:1"]})) == [["timely:1"]]
    assert shown(Listing(stores).images({"before": ["timely:1"]})) == []
    assert shown(Listing(stores).images()) == [["timely:1"], ["timeless:1"]]


def test_containers_are_counted_when_that_is_asked_for(stores: Stores) -> None:
    image_id = add_image(stores, "app:1")
    add_image(stores, "other:1", labels={"x": ""})
    for name in ("one", "two"):
        stores.containers.add(
            ContainerRecord(container_id=name, name=name, image_id=image_id, image="app:1", created_nano=0)
        )

    counts = {image.tags[0].tag: image.containers for image in Listing(stores).images()}
    asked = {image.tags[0].path: image.containers for image in Listing(stores).images(containers=True)}

    assert set(counts.values()) == {-1}
    assert asked == {"library/app": 2, "library/other": 0}


def test_what_listed_images_share_is_counted_on_both(stores: Stores) -> None:
    add_image(stores, "one:1", layers=["base", "one"])
    add_image(stores, "two:1", layers=["base", "three"])
    add_image(stores, "alone:1", layers=["alone"])
    add_image(stores, "empty:1")

    listed = Listing(stores).images(shared_size=True)
    alone = Listing(stores).images({"reference": ["one"]}, shared_size=True)

    assert {image.tags[0].familiar: (image.record.size, image.shared_size) for image in listed} == {
        "one:1": (70, 40),
        "two:1": (90, 40),
        "alone:1": (50, 0),
        "empty:1": (0, 0),
    }
    assert [image.shared_size for image in alone] == [0], "nobody else is listed"


class RemovedMeanwhile:
    """Layers of which somebody removes some with their image, before they are measured."""

    def __init__(self, stores: Stores, word: str) -> None:
        self._stores = stores
        self._word = word

    def sizes(self) -> Mapping[ChainID, ChainSize]:
        delete_image(self._stores, self._word)
        return self._stores.layers.sizes()


def test_an_image_that_is_recorded_meanwhile_is_never_without_its_names(stores: Stores) -> None:
    """`docker rmi $(docker images -qf dangling=true)` would remove what has just been pulled."""

    class Meanwhile:
        asked = 0

        def list(self) -> list[tuple[Reference, ImageID]]:
            found = stores.references.list()
            self.asked += 1
            if self.asked == 1:
                add_image(stores, "late:1", labels={"late": ""})
            return found

    add_image(stores, "early:1")
    late = msgspec.structs.replace(stores, references=Meanwhile())

    assert sorted(shown(Listing(late).images())) == [["early:1"], ["late:1"]]


def test_an_image_that_is_removed_meanwhile_is_left_out_and_no_damage(stores: Stores) -> None:
    add_image(stores, "stays:1", layers=["base", "one"])
    add_image(stores, "goes:1", layers=["base", "two"])
    changing = msgspec.structs.replace(stores, layers=RemovedMeanwhile(stores, "goes:1"))

    listed = Listing(changing).images(shared_size=True)

    assert [(image.tags[0].familiar, image.shared_size) for image in listed] == [("stays:1", 0)]


class BackMeanwhile(RemovedMeanwhile):
    """Layers of which somebody removes some with their image, and brings them back once they were looked for."""

    _is_back = False

    def sizes(self) -> Mapping[ChainID, ChainSize]:
        if self._is_back:
            return self._stores.layers.sizes()
        found = super().sizes()
        add_image(self._stores, self._word, layers=["base"])
        self._is_back = True
        return found


def test_an_image_that_has_come_back_meanwhile_is_no_damage(stores: Stores) -> None:
    add_image(stores, "back:1", layers=["base"])
    changing = msgspec.structs.replace(stores, layers=BackMeanwhile(stores, "back:1"))

    listed = Listing(changing).images(shared_size=True)

    assert [(image.tags[0].familiar, image.shared_size) for image in listed] == [("back:1", 0)]


def test_a_list_reads_no_config(stores: Stores) -> None:
    image_id = add_image(stores, "app:1", labels={"a": "1"})
    stores.blobs.delete(image_id)

    assert shown(Listing(stores).images({"label": ["a=1"]})) == [["app:1"]]


def test_an_image_from_before_labels_were_recorded_shows_those_of_its_config(stores: Stores) -> None:
    image_id = add_image(stores, "app:1", labels={"a": "1"})
    record = stores.images.get(image_id)
    assert record is not None
    stores.images.put(msgspec.structs.replace(record, labels=None))

    assert [dict(image.labels) for image in Listing(stores).images({"label": ["a=1"]})] == [{"a": "1"}]


def test_a_chain_that_is_gone_is_told(stores: Stores) -> None:
    from headway.service.images.sharing import shared_sizes  # noqa: PLC0415 - for this test alone
    from tests.contract.layer_store_contract import chain_id  # noqa: PLC0415

    with pytest.raises(StoreCorruptError, match=r"was not found \(corruption\?\)"):
        shared_sizes([chain_id("gone")], {})
