"""What every `ContainerStore` and every `MountTable` does."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from headway.container_records import ContainerRecord, ContainerState, KeptMount
from headway.errors import AmbiguousNameError, ConflictError, NotFoundError
from headway.interfaces.containers import ContainerStore
from headway.interfaces.rw_layers import MountTable
from headway.oci.digest import ChainID, Digest, ImageID

IMAGE = ImageID(Digest.of(b"image"))


def container(start: str, name: str, *, created: int = 0, image_id: ImageID | None = IMAGE) -> ContainerRecord:
    return ContainerRecord(
        container_id=start.ljust(64, "0"),
        name=name,
        image_id=image_id,
        image="alpine:3",
        created_nano=created,
        config='{"Cmd":["sh"]}',
        host_config='{"StorageOpt":{"size":"1G"}}',
        platform="linux/arm64",
        mount_label="label",
    )


class ContainerStoreContract:
    """Give `subject`, an empty `ContainerStore`."""

    def test_a_container_is_found_by_its_id_its_name_and_the_beginning_of_its_id(self, subject: ContainerStore) -> None:
        first, second = container("aa1", "steady_ketch"), container("ab2", "aa")
        for each in (first, second):
            subject.add(each)

        words = [first.container_id, "steady_ketch", "/steady_ketch", "aa1", "ab", "aa"]

        assert [subject.get(word) for word in words] == [first, first, first, first, second, second]

    @pytest.mark.parametrize("word", ["", "c", "nobody", "a%", "A"])
    def test_an_unknown_container_is_not_found(self, subject: ContainerStore, word: str) -> None:
        subject.add(container("aa1", "steady_ketch"))

        with pytest.raises(NotFoundError):
            subject.get(word)

    def test_several_that_begin_alike_are_too_many(self, subject: ContainerStore) -> None:
        subject.add(container("aa1", "one"))
        subject.add(container("aa2", "two"))

        with pytest.raises(AmbiguousNameError, match="multiple IDs found with provided prefix: aa"):
            subject.get("aa")

    def test_they_are_listed_newest_first(self, subject: ContainerStore) -> None:
        for start, name, created in [("a", "one", 1), ("b", "three", 3), ("c", "two", 2)]:
            subject.add(container(start, name, created=created))

        assert [each.name for each in subject.list()] == ["three", "two", "one"]

    def test_the_first_that_is_wanted_is_found(self, subject: ContainerStore) -> None:
        subject.add(container("a", "one", created=1))
        subject.add(container("b", "two", created=2))

        assert subject.first(lambda each: each.name == "one") == container("a", "one", created=1)
        assert subject.first(lambda each: each.name == "three") is None

    def test_those_of_an_image_are_known(self, subject: ContainerStore) -> None:
        subject.add(container("a", "one"))
        subject.add(container("b", "of_nothing", image_id=None))

        assert subject.of_image(IMAGE) == [container("a", "one")]
        assert subject.of_image(ImageID(Digest.of(b"other"))) == []

    def test_a_name_is_taken_once(self, subject: ContainerStore) -> None:
        subject.add(container("a", "one"))
        subject.add(container("b", "two"))

        with pytest.raises(
            ConflictError, match=r'^Conflict\. The container name "/one" is already in use by container'
        ):
            subject.add(container("c", "one"))
        with pytest.raises(ConflictError, match="already in use"):
            subject.replace(container("b", "one"))

        assert [each.name for each in subject.list()] == ["one", "two"]

    def test_name_and_state_can_change(self, subject: ContainerStore) -> None:
        subject.add(container("a", "one"))
        changed = msgspec.structs.replace(container("a", "two"), state=ContainerState.DEAD)

        subject.replace(changed)

        assert subject.list() == [changed]

    def test_one_that_is_gone_cannot_change_and_can_go_again(self, subject: ContainerStore) -> None:
        subject.add(container("a", "one"))
        subject.delete(container("a", "one").container_id)
        subject.delete(container("a", "one").container_id)

        with pytest.raises(NotFoundError):
            subject.replace(container("a", "one"))
        assert subject.list() == []


def mounted(target: str, image_id: ImageID | None = IMAGE) -> KeptMount:
    return KeptMount(
        target=Path(target), image_id=image_id, chain_id=ChainID(Digest.of(b"chain")), driver="overlay2", place="boot"
    )


class MountTableContract:
    """Give `subject`, an empty `MountTable`."""

    def test_mounts_are_listed_by_target(self, subject: MountTable) -> None:
        for target in ("/mnt/b", "/mnt/a"):
            subject.put(mounted(target))

        assert subject.list() == [mounted("/mnt/a"), mounted("/mnt/b")]
        assert subject.get(Path("/mnt/b")) == mounted("/mnt/b")
        assert subject.get(Path("/mnt/c")) is None

    def test_one_with_the_same_target_is_replaced(self, subject: MountTable) -> None:
        subject.put(mounted("/mnt/a"))
        again = msgspec.structs.replace(mounted("/mnt/a"), count=2)

        subject.put(again)

        assert subject.list() == [again]

    def test_those_of_an_image_are_known(self, subject: MountTable) -> None:
        subject.put(mounted("/mnt/a"))
        subject.put(mounted("/mnt/b", None))

        assert subject.of_image(IMAGE) == [mounted("/mnt/a")]

    def test_a_forgotten_one_is_gone(self, subject: MountTable) -> None:
        subject.put(mounted("/mnt/a"))
        for _ in range(2):
            subject.delete(Path("/mnt/a"))

        assert subject.list() == []
