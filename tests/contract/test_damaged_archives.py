"""Archives that a disk, a link or somebody has damaged: one error and nothing left, or exactly what was saved."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.composition.loading import loader
from headway.composition.writing import writing
from headway.errors import HeadwayError, InvalidArchiveError, StoreError
from headway.layers.archives.reader import StreamArchive, opened
from headway.oci.digest import DiffID, Digest
from headway.service.archives.loading import Loader
from headway.service.images.delete import delete_image
from headway.service.stores import Stores
from headway.settings import Settings
from tests.fakes.archives import docker_20, docker_28, oci, tar_of
from tests.fakes.images import File, image, noise_layer

# Two layers, one above and one below what is kept in memory.
IMAGE = image(
    [{"etc/": b"", "etc/a": b"a", "etc/l": File(link="a")}, noise_layer(70_000)], compression="none", tag="a:1"
)
PACKED = image([noise_layer(70_000, 1)], tag="a:1")
ARCHIVES = [tar_of(make(each)) for make in (docker_20, docker_28, oci) for each in (IMAGE, PACKED)]
WRAPPED = [pack(ARCHIVES[0]) for pack in (gzip.compress, bz2.compress, lzma.compress, zstd.compress)]

Damage = Callable[[bytes], bytes]


class House:
    """One store for all examples: each has to leave it as it was."""

    def __init__(self, place: Path, stores: Stores, loader: Loader) -> None:
        self.place = place
        self._stores = stores
        self._loader = loader

    def load(self, archive: bytes, *, as_file: bool) -> None:
        (self.place / "archive").write_bytes(archive)
        with opened(self.place / "archive") if as_file else nullcontext(StreamArchive(io.BytesIO(archive))) as source:
            self._loader.load(source, lambda _: None)

    def take_out(self) -> list[str]:
        """Remove every image and return their IDs."""
        found = [str(each.image_id) for each in self._stores.images.list()]
        for each in found:
            delete_image(self._stores, each, force=True)
        return found

    def left_over(self) -> Sequence[object]:
        """Return what is here beside images."""
        stores = self._stores
        diff_ids = [DiffID(Digest(each)) for each in (*IMAGE.diff_ids, *PACKED.diff_ids)]
        return [
            *stores.references.list(),
            *stores.blobs.walk(),
            *stores.ingests.walk(),
            *stores.leases.idle(),
            *filter(stores.layers.has_tree, diff_ids),
            *(self.place / "root" / "tmp").iterdir(),
        ]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    place = tmp_path_factory.mktemp("damaged")
    owns = Settings(data_root=place / "root")
    with writing(owns, lambda _: None) as stores:
        yield House(place, stores, loader(owns, stores))


def cut(at: float) -> Damage:
    return lambda archive: archive[: int(at * len(archive))]


def flip(at: float, bits: int) -> Damage:
    def damaged(archive: bytes) -> bytes:
        place = int(at * (len(archive) - 1))
        return archive[:place] + bytes([archive[place] ^ bits]) + archive[place + 1 :]

    return damaged


def moved(source: float, target: float) -> Damage:
    """Lay one sector over another, as a disk that wrote to the wrong place."""

    def damaged(archive: bytes) -> bytes:
        sectors = len(archive) // 512
        here, there = int(source * (sectors - 1)) * 512, int(target * (sectors - 1)) * 512
        return archive[:there] + archive[here : here + 512] + archive[there + 512 :]

    return damaged


def lost(at: float) -> Damage:
    """Leave one sector out."""

    def damaged(archive: bytes) -> bytes:
        here = int(at * (len(archive) // 512 - 1)) * 512
        return archive[:here] + archive[here + 512 :]

    return damaged


PLACES = st.floats(0, 1, exclude_max=True)
DAMAGES = st.one_of(
    st.builds(cut, PLACES),
    st.builds(flip, PLACES, st.integers(1, 255)),
    st.builds(moved, PLACES, PLACES),
    st.builds(lost, PLACES),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(archive=st.sampled_from(ARCHIVES + WRAPPED), damage=DAMAGES, as_file=st.booleans())
def test_a_damaged_archive_is_one_error_or_what_it_was(
    house: House, archive: bytes, damage: Damage, *, as_file: bool
) -> None:
    said = ""
    try:
        house.load(damage(archive), as_file=as_file)
    except StoreError:
        raise  # the disk has nothing to do with it
    except HeadwayError as error:
        said = str(error)

    assert set(house.take_out()) <= (set() if said else {IMAGE.image_id, PACKED.image_id})
    assert house.left_over() == []
    assert "\n" not in said


@pytest.mark.parametrize("as_file", [False, True], ids=["stream", "file"])
def test_entries_twice_are_as_if_unpacked_one_after_the_other(house: House, *, as_file: bool) -> None:
    whole, other = tar_of(docker_20(IMAGE)), tar_of({**docker_20(IMAGE), "manifest.json": b"["})

    house.load(other[: _end(other)] + whole, as_file=as_file)
    assert house.take_out() == [IMAGE.image_id]

    with pytest.raises(InvalidArchiveError, match="not JSON"):
        house.load(whole[: _end(whole)] + other, as_file=as_file)
    assert house.take_out() + list(house.left_over()) == []


def _end(archive: bytes) -> int:
    """Return where the last entry ends."""
    return -(-len(archive.rstrip(b"\0")) // 512) * 512


def test_a_long_document_that_means_nothing_is_refused_before_it_takes_the_memory(house: House) -> None:
    nested = b"[" * 3_000_000
    many = json.dumps([{"Config": "c.json", "Layers": [], "RepoTags": []}] * 100_000).encode()
    for data in (nested, many, b'{"a":"' + b"x" * 5_000_000):
        with pytest.raises(HeadwayError):
            house.load(tar_of({"manifest.json": data}), as_file=False)
        assert house.take_out() + list(house.left_over()) == []


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_a_bomb_around_the_archive_is_read_and_not_kept(house: House, pack: Callable[[bytes], bytes]) -> None:
    zeros = tar_of({"junk": bytes(32 << 20)})

    with pytest.raises(InvalidArchiveError, match="no images"):
        house.load(pack(zeros), as_file=True)

    assert house.take_out() + list(house.left_over()) == []
