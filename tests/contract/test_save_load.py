"""Archives of images: what is saved is loaded, what others wrote is loaded, and what is broken leaves nothing."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from backports import zstd
from msgspec import structs

from headway.composition.loading import loader
from headway.composition.pulls import pulling
from headway.composition.saving import saver
from headway.composition.writing import writing
from headway.distribution.endpoints import InsecureRegistries
from headway.errors import (
    DigestMismatchError,
    HeadwayError,
    InvalidArchiveError,
    InvalidDocumentError,
    InvalidLayerError,
    NoRecipeError,
    NotFoundError,
    StoreFullError,
    UnsupportedError,
    WindowTooLargeError,
)
from headway.layers.archives.reader import StreamArchive, opened
from headway.layers.archives.writer import write_archive
from headway.layers.recipes.layer_tars import StoredLayerTars
from headway.oci.digest import DiffID, Digest, ImageID
from headway.oci.image_config import MAX_CONFIG_BYTES
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.records import LayerBlob
from headway.service.archives.loading import LayerLoading, Loader, LoadEvent, sentences
from headway.service.archives.saving import Saver, saved
from headway.service.images.delete import delete_image
from headway.service.registries.remote_image import PullRequest
from headway.service.stores import Stores
from headway.settings import Settings
from tests.contract.test_windows import zstd_layer
from tests.fakes.archives import docker_20, docker_28, files_of, oci, skopeo_docker, tar_of, written
from tests.fakes.images import File, Image, image, noise, noise_layer
from tests.fakes.simulated_registry import SimulatedRegistry
from tests.fakes.tars import file, tar

BIG = 100_000
"""Bytes of a layer that is not kept in memory while nobody knows what it is."""

PLAIN = image(
    [{"etc/": b"", "etc/a": b"a", "etc/link": File(link="a")}, noise_layer(BIG), {"etc/.wh.a": b""}],
    compression="none",
    tag="docker.io/library/plain:1",
)
GZIPPED = image([{"bin/": b"", "bin/sh": File(b"#!", 0o4755)}, noise_layer(BIG, 1)], tag="example.com/gz:2")
MANY = image([noise_layer(BIG, 2)], index=True, tag="many:3", platforms=("linux/amd64", "linux/arm64/v8"))
ARM = next(
    digest
    for digest, data in MANY.blobs.items()
    if data.startswith(b"{") and json.loads(data).get("architecture") == "arm64"
)


class House:
    """One store, and what pulls and loads into it and saves from it."""

    def __init__(self, settings: Settings, stores: Stores) -> None:
        self.stores = stores
        self.loader: Loader = loader(settings, stores)
        self.settings = settings
        self.events: list[LoadEvent] = []

    def load(self, archive: bytes | Path | io.BytesIO, platform: str = "") -> list[str]:
        """Load an archive; return what Docker would say."""
        self.events.clear()
        wanted = Platform.parse(platform) if platform else None
        stream = io.BytesIO(archive) if isinstance(archive, bytes) else archive
        with opened(stream) if isinstance(stream, Path) else nullcontext(StreamArchive(stream)) as source:
            self.loader.load(source, self.events.append, platform=wanted)
        return [said for each in self.events if not isinstance(each, LayerLoading) for said in sentences(each)]

    def pull(self, image: Image, name: str) -> None:
        """Pull an image."""
        registry = SimulatedRegistry()
        reference = Reference.parse(name)
        registry.add(image, reference.path, tag=reference.tag)

        async def pull() -> None:
            request = PullRequest(reference, Platform("linux", "amd64"), (), InsecureRegistries(()))
            async with pulling(self.settings, self.stores, registry=registry) as puller:
                await puller.pull(request, lambda _: None)

        asyncio.run(pull())

    def save(self, *names: str) -> bytes:
        return b"".join(saved(self.stores, saver(self.stores), names))

    def names(self) -> list[str]:
        return [name.familiar for name, _ in self.stores.references.list()]

    @property
    def unpacked(self) -> set[str]:
        """Names of the files that were unpacked by the last load."""
        return {event.name for event in self.events if isinstance(event, LayerLoading)}

    def is_untouched(self) -> bool:
        """Tell whether nothing is listed and nothing is left."""
        stores = self.stores
        return not (
            stores.images.list()
            or stores.references.list()
            or list(stores.blobs.walk())
            or list(stores.ingests.walk())
            or stores.leases.idle()
            or any(stores.layers.has_tree(DiffID(Digest(each))) for each in (*PLAIN.diff_ids, *GZIPPED.diff_ids))
        )


@contextmanager
def a_house(place: Path, *, retain: bool = False) -> Iterator[House]:
    settings = Settings(data_root=place, record_recipes=True, retain_layer_blobs=retain)
    with writing(settings, lambda _: None) as stores:
        yield House(settings, stores)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with a_house(tmp_path / "root") as house:
        yield house


ARCHIVES: Mapping[str, Callable[[Image], dict[str, bytes | str]]] = {
    "docker 20": docker_20,
    "docker 28": docker_28,
    "skopeo's docker-archive": skopeo_docker,
    "OCI, index last": oci,
    "OCI, index first": lambda each: oci(each, documents_first=True),
}


@pytest.mark.parametrize("kind", ["stream", "file", "directory"])
@pytest.mark.parametrize("maker", ARCHIVES)
def test_what_others_write_is_loaded(house: House, tmp_path: Path, maker: str, kind: str) -> None:
    files = ARCHIVES[maker](PLAIN)
    archive: bytes | Path = tar_of(files)
    if kind == "file":
        (tmp_path / "archive").write_bytes(tar_of(files))
        archive = tmp_path / "archive"
    elif kind == "directory":
        archive = written(tmp_path / "archive", files)

    said = house.load(archive)

    record = house.stores.images.get(ImageID(Digest(PLAIN.image_id)))
    assert said == ["Loaded image: plain:1\n"]
    assert house.names() == ["plain:1"]
    assert record is not None
    assert len(house.stores.layers.trees(record.chain_id)) == 3
    assert house.stores.leases.idle() == []


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lzma.compress, zstd.compress], ids=["gzip", "bzip2", "xz", "zstd"]
)
def test_a_packed_archive_is_loaded(house: House, tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "archive").write_bytes(pack(tar_of(docker_20(PLAIN))))

    assert house.load(tmp_path / "archive") == ["Loaded image: plain:1\n"]
    assert house.load((tmp_path / "archive").read_bytes()) == ["Loaded image: plain:1\n"]


def test_saved_loaded_and_saved_again_is_the_same(tmp_path: Path) -> None:
    with a_house(tmp_path / "one") as one, a_house(tmp_path / "two") as two, a_house(tmp_path / "three") as three:
        one.load(tar_of(oci(PLAIN, GZIPPED)))
        archive = one.save("plain:1", "example.com/gz:2")
        (tmp_path / "archive").write_bytes(archive)

        two.load(archive)
        three.load(tmp_path / "archive")

        assert one.save("plain:1", "example.com/gz:2") == archive
        assert two.save("plain:1", "example.com/gz:2") == archive
        assert three.save("plain:1", "example.com/gz:2") == archive


def test_with_retained_blobs_an_archive_is_what_the_registry_has(tmp_path: Path) -> None:
    with (
        a_house(tmp_path / "one", retain=True) as one,
        a_house(tmp_path / "two", retain=True) as two,
        a_house(tmp_path / "three") as three,
    ):
        one.pull(GZIPPED, "example.com/gz:2")
        one.pull(MANY, "many:3")
        archive = one.save("example.com/gz:2", "many:3")
        two.load(archive)
        three.load(archive)

        files = files_of(archive)
        for digest in (GZIPPED.manifest_digest, GZIPPED.image_id, *GZIPPED.layers, *MANY.layers):
            assert files[blob(digest)] == GZIPPED.blobs.get(digest, MANY.blobs.get(digest))
        assert two.save("example.com/gz:2", "many:3") == archive
        assert two.unpacked == {blob(each) for each in (*GZIPPED.layers, *MANY.layers)}
        assert set(GZIPPED.diff_ids) <= {
            layer["digest"]
            for name, data in files_of(three.save("example.com/gz:2")).items()
            if data.startswith(b"{") and name.startswith("blobs/")
            for layer in json.loads(data).get("layers", ())
        }
        assert not set(GZIPPED.layers) & set(three.stores.blobs.walk())


def test_what_a_pull_brought_is_saved_by_its_recipes(tmp_path: Path) -> None:
    with a_house(tmp_path / "one") as one, a_house(tmp_path / "two") as two:
        one.pull(GZIPPED, "example.com/gz:2")
        two.load(tar_of(oci(GZIPPED)))

        assert one.save("example.com/gz:2") == two.save("example.com/gz:2")


def test_a_layer_that_was_here_before_is_not_fetched_again_to_keep_its_blob(tmp_path: Path) -> None:
    with a_house(tmp_path / "one") as before:
        before.pull(GZIPPED, "example.com/gz:2")
        archive = before.save("example.com/gz:2")
    with a_house(tmp_path / "one", retain=True) as house:
        house.pull(GZIPPED, "example.com/gz:2")

        assert [house.stores.blobs.size(Digest(layer)) for layer in GZIPPED.layers] == [None, None]
        assert house.save("example.com/gz:2") == archive


def test_retained_blobs_go_with_their_image(tmp_path: Path) -> None:
    with a_house(tmp_path / "one", retain=True) as house:
        house.load(tar_of(oci(GZIPPED)))
        assert set(GZIPPED.layers) & set(house.stores.blobs.walk())

        delete_image(house.stores, "example.com/gz:2")

        assert house.is_untouched()


def test_a_saved_archive_is_both_kinds(house: House) -> None:
    house.load(tar_of(oci(GZIPPED)))

    files = files_of(house.save("example.com/gz:2"))

    (item,) = json.loads(files["manifest.json"])
    (entry,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(files[f"blobs/{entry['digest'].replace(':', '/')}"])
    assert item["RepoTags"] == ["example.com/gz:2"]
    assert item["Config"] == f"blobs/{GZIPPED.image_id.replace(':', '/')}"
    assert item["Layers"] == [f"blobs/{each.replace(':', '/')}" for each in GZIPPED.diff_ids]
    assert entry["annotations"] == {
        "io.containerd.image.name": "example.com/gz:2",
        "org.opencontainers.image.ref.name": "2",
    }
    assert [layer["digest"] for layer in manifest["layers"]] == list(GZIPPED.diff_ids)
    assert json.loads(files["repositories"]) == {"example.com/gz": {"2": GZIPPED.diff_ids[-1][7:]}}
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    assert all(Digest.of(data) == f"sha256:{name[13:]}" for name, data in files.items() if name.startswith("blobs/"))


def test_names_say_what_is_saved(house: House) -> None:
    house.load(tar_of(oci(PLAIN)))
    for name in ("plain:2", "plain:latest", "other:1"):
        house.stores.references.put_tag(Reference.parse(name), ImageID(Digest(PLAIN.image_id)))

    def tags(*names: str) -> object:
        return [item["RepoTags"] for item in json.loads(files_of(house.save(*names))["manifest.json"])]

    assert tags("plain") == [["plain:1", "plain:2", "plain:latest"]]
    assert tags("plain:2") == [["plain:2"]]
    assert tags("other", "plain:2") == [["other:1", "plain:2"]]
    assert tags(PLAIN.image_id[7:19]) == [None]
    assert tags(PLAIN.image_id[:19]) == [None]
    assert json.loads(files_of(house.save())["manifest.json"]) is None
    with pytest.raises(NotFoundError, match="no such image: nope:latest"):
        house.save("nope")


def test_an_image_without_a_name_is_saved_and_loaded(tmp_path: Path) -> None:
    with a_house(tmp_path / "one") as one, a_house(tmp_path / "two") as two:
        one.load(tar_of(oci(PLAIN)))

        assert two.load(one.save(PLAIN.image_id)) == [f"Loaded image ID: {PLAIN.image_id}\n"]


def test_an_image_without_layers_is_saved_and_loaded(tmp_path: Path) -> None:
    empty = image([], tag="empty:1")
    with a_house(tmp_path / "one") as one, a_house(tmp_path / "two") as two:
        one.load(tar_of(oci(empty)))

        assert two.load(one.save("empty:1")) == ["Loaded image: empty:1\n"]
        assert two.save("empty:1") == one.save("empty:1")


def test_a_parent_is_known_where_both_are_in_the_archive(tmp_path: Path) -> None:
    parent, child = image([{"a": b"a"}], tag="parent:1"), image([{"a": b"a"}, {"b": b"b"}], tag="child:1")
    with a_house(tmp_path / "one") as one, a_house(tmp_path / "two") as two:
        one.load(tar_of(oci(parent, child)))
        record = one.stores.images.get(ImageID(Digest(child.image_id)))
        assert record is not None
        one.stores.images.put(structs.replace(record, parent=ImageID(Digest(parent.image_id))))

        two.load(one.save("parent:1", "child:1"))

        assert two.stores.images.children(ImageID(Digest(parent.image_id))) == [child.image_id]
        assert two.save("parent:1", "child:1") == one.save("parent:1", "child:1")


def test_an_image_that_cannot_be_the_parent_is_refused(house: House) -> None:
    with pytest.raises(InvalidArchiveError, match="is not a valid parent"):
        house.load(tar_of(made_from(PLAIN, docker_20(GZIPPED, PLAIN))))

    assert house.names() == []


def test_an_image_that_is_here_by_chance_is_no_parent(house: House) -> None:
    house.load(tar_of(docker_20(PLAIN)))

    house.load(tar_of(made_from(PLAIN, docker_20(GZIPPED))))

    assert house.names() == ["plain:1", "example.com/gz:2"]
    assert house.stores.images.parents() == set()


def made_from(parent: Image, files: Mapping[str, bytes | str]) -> dict[str, bytes | str]:
    """Return the files of an archive whose first image is said to be made from `parent`."""
    first, *others = json.loads(files["manifest.json"])
    return {**files, "manifest.json": json.dumps([{**first, "Parent": parent.image_id}, *others]).encode()}


@pytest.mark.parametrize("is_here", [False, True])
def test_a_blob_is_known_to_hold_a_layer_where_both_were_read_at_once(house: House, *, is_here: bool) -> None:
    if is_here:
        house.load(tar_of(docker_20(GZIPPED)))  # which has no blobs

    house.load(tar_of(oci(GZIPPED)))

    known = [house.stores.metadata.blobs_of(DiffID(Digest(diff_id))) for diff_id in GZIPPED.diff_ids]
    read = [[LayerBlob(Digest(layer), "example.com/gz")] for layer in GZIPPED.layers]
    assert known == ([[], []] if is_here else read)


def test_a_layer_that_is_here_is_not_unpacked_again(house: House, tmp_path: Path) -> None:
    for number, make in enumerate(ARCHIVES.values()):
        archive = tmp_path / str(number)
        archive.write_bytes(tar_of(make(PLAIN)))
        house.load(archive)
        house.load(archive)
        assert house.unpacked == set()
        house.load(archive.read_bytes())
        assert house.unpacked == set()
    house.load(tar_of(oci(GZIPPED)))
    house.load(tar_of(oci(GZIPPED)))
    assert house.unpacked == set()


def test_what_everybody_has_may_be_left_out(house: House) -> None:
    house.load(tar_of(oci(PLAIN)))
    files = {name: data for name, data in docker_28(PLAIN).items() if name.endswith("json") or len(data) < 2000}

    assert house.load(tar_of(files)) == ["Loaded image: plain:1\n"]


def test_one_of_several_platforms_is_chosen(house: House) -> None:
    assert house.load(tar_of(oci(MANY)), "linux/arm64") == ["Loaded image: many:3\n"]
    assert [record.platform for record in house.stores.images.list()] == ["linux/arm64"]
    assert house.stores.images.list()[0].image_id == ARM
    with pytest.raises(NotFoundError, match="linux/s390x in many:3"):
        house.load(tar_of(oci(MANY)), "linux/s390x")
    with pytest.raises(NotFoundError, match="linux/arm64"):
        house.load(tar_of(docker_20(PLAIN)), "linux/arm64")


def test_what_speaks_of_thousands_of_images_may_be_longer_than_a_config(house: House) -> None:
    files = docker_20(PLAIN)
    items = files["manifest.json"]
    assert isinstance(items, bytes)

    assert house.load(tar_of({**files, "manifest.json": items.ljust(MAX_CONFIG_BYTES + 1)})) == [
        "Loaded image: plain:1\n"
    ]


def test_a_name_that_stood_for_another_image_moves(house: House) -> None:
    other = image([{"x": b"x"}], tag="plain:1", compression="none")
    house.load(tar_of(docker_20(other)))

    assert house.load(tar_of(docker_20(PLAIN))) == [
        f"The image plain:1 already exists, renaming the old one with ID {other.image_id} to empty string\n",
        "Loaded image: plain:1\n",
    ]


def test_loads_and_saves_are_told_of(house: House) -> None:
    house.load(tar_of(oci(PLAIN)))
    house.save("plain:1")

    told = [(each.action, each.actor, each.attributes["name"]) for each in house.stores.log.behind(0)]
    assert told == [(action, PLAIN.image_id, PLAIN.image_id) for action in ("load", "save")]


def without(files: Mapping[str, bytes | str], name: str) -> dict[str, bytes | str]:
    return {each: data for each, data in files.items() if each != name}


def changed(files: Mapping[str, bytes | str], name: str) -> dict[str, bytes | str]:
    data = files[name]
    assert isinstance(data, bytes)
    return {**files, name: data[:-1] + bytes([data[-1] ^ 1])}


def blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def of_another_size(files: Mapping[str, bytes | str], manifest: str, of: str) -> bytes:
    """Return an OCI layout whose manifest says that a blob is one byte longer than it is."""
    document = json.loads(files[blob(manifest)])
    for each in (document["config"], *document["layers"]):
        each["size"] += each["digest"] == of
    data = json.dumps(document).encode()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    entry = {"mediaType": document["mediaType"], "digest": digest, "size": len(data)}
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    return tar_of({**without(files, blob(manifest)), blob(digest): data, "index.json": index})


_ITEM = {"Config": "c.json", "RepoTags": ["bad:1"], "Layers": ["l.tar"]}
BROKEN: Mapping[str, tuple[bytes, type[HeadwayError], str]] = {
    "empty": (b"", InvalidArchiveError, "empty"),
    "no tar": (b"hello" * 1000, InvalidArchiveError, "it is no tar, or a broken one, near byte 512"),
    "nothing in it": (tar_of({"README": b"hello"}), InvalidArchiveError, "neither manifest.json nor index.json"),
    "too old": (tar_of({"repositories": b"{}"}), UnsupportedError, "Docker 1.9"),
    "no JSON": (tar_of({"manifest.json": b"[{"}), InvalidArchiveError, "not JSON"),
    "no list": (tar_of({"manifest.json": b"{}"}), InvalidArchiveError, "no list"),
    "cut gzip": (gzip.compress(tar_of(docker_20(PLAIN)))[:-2000], InvalidArchiveError, "truncated gzip"),
    "a file above": (tar_of({"../manifest.json": b"[]"}), InvalidArchiveError, "outside"),
    "a link above": (tar_of({"a/layer.tar": "../../etc/passwd"}), InvalidArchiveError, "leads out"),
    "an absolute link": (tar_of({"a/layer.tar": "/etc/passwd"}), InvalidArchiveError, "leads out"),
    "links in a circle": (
        tar_of({"l.tar": "m.tar", "m.tar": "l.tar", "manifest.json": json.dumps([_ITEM]).encode()}),
        InvalidArchiveError,
        "c.json' is missing",
    ),
    "a layer missing": (
        tar_of(without(docker_28(PLAIN), blob(PLAIN.layers[1]))),
        InvalidArchiveError,
        "is missing, and it is not here",
    ),
    "a small layer missing": (tar_of(without(oci(PLAIN), blob(PLAIN.layers[0]))), InvalidArchiveError, "is missing"),
    "a config missing": (tar_of(without(oci(PLAIN), blob(PLAIN.image_id))), InvalidArchiveError, "config"),
    "a manifest missing": (tar_of(without(oci(PLAIN), blob(PLAIN.manifest_digest))), InvalidArchiveError, "missing"),
    "another config": (tar_of(changed(oci(PLAIN), blob(PLAIN.image_id))), HeadwayError, "digest"),
    "another manifest": (tar_of(changed(oci(PLAIN), blob(PLAIN.manifest_digest))), InvalidArchiveError, "digest"),
    "a config of another size": (
        of_another_size(oci(PLAIN), PLAIN.manifest_digest, PLAIN.image_id),
        InvalidArchiveError,
        "bytes long instead of",
    ),
    "a layer of another size": (
        of_another_size(oci(GZIPPED), GZIPPED.manifest_digest, GZIPPED.layers[1]),
        InvalidArchiveError,
        "bytes long instead of",
    ),
    "another layer": (tar_of(changed(oci(GZIPPED), blob(GZIPPED.layers[1]))), InvalidLayerError, "gzip"),
    "another plain layer": (tar_of(changed(oci(PLAIN), blob(PLAIN.layers[1]))), DigestMismatchError, "digest"),
    "layers swapped": (
        tar_of({**docker_28(PLAIN), "manifest.json": docker_28(PLAIN)["manifest.json"].replace(
            PLAIN.layers[0][7:].encode(), PLAIN.layers[2][7:].encode())}),  # type: ignore[arg-type]
        InvalidArchiveError,
        "invalid diffID for layer 0",
    ),
    "too few layers": (
        tar_of({**docker_20(PLAIN), "manifest.json": json.dumps(
            [{"Config": f"{PLAIN.image_id[7:]}.json", "RepoTags": ["a:1"], "Layers": []}]).encode()}),
        InvalidArchiveError,
        "layers length mismatch: expected 3, got 0",
    ),
    "a bad name": (
        tar_of({**docker_20(PLAIN), "manifest.json": json.dumps([{**_ITEM, "RepoTags": ["UPPER"]}]).encode()}),
        InvalidArchiveError,
        'invalid tag "UPPER"',
    ),
    "no config": (
        tar_of({"manifest.json": json.dumps([_ITEM]).encode(), "c.json": b"{}", "l.tar": b""}),
        InvalidDocumentError,
        "rootfs",
    ),
    "a layer that is none": (
        tar_of(oci(image([b"no tar at all" * 10_000], compression="none"))),
        InvalidLayerError,
        "broken layer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["stream", "file"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_archive_is_one_error_and_leaves_nothing(house: House, tmp_path: Path, case: str, kind: str) -> None:
    archive, error, words = BROKEN[case]
    (tmp_path / "archive").write_bytes(archive)

    with pytest.raises(error, match=words) as caught:
        house.load(archive if kind == "stream" else tmp_path / "archive")

    assert "\n" not in str(caught.value)
    assert house.is_untouched()


@pytest.mark.parametrize("measured", [True, False], ids=["before its config", "behind its config"])
def test_a_layer_may_not_look_back_further_than_the_setting_says(house: House, *, measured: bool) -> None:
    diff_id = f"sha256:{hashlib.sha256(tar(file('f', b'x'))).hexdigest()}"
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    documents = {"c.json": json.dumps(config).encode(), "manifest.json": json.dumps([_ITEM]).encode()}
    padded = {"l.tar": zstd_layer(26) + zstd.compress(b"") * 8000}  # no document: it is too long for one
    house.loader = loader(structs.replace(house.settings, max_unpack_memory=32 << 20), house.stores)

    with pytest.raises(WindowTooLargeError):
        house.load(tar_of({**padded, **documents} if measured else {**documents, **padded}))


@pytest.mark.parametrize("kind", ["stream", "file"])
def test_more_small_layers_than_there_is_memory_for_are_taken_as_they_come(
    house: House, tmp_path: Path, kind: str
) -> None:
    layer = tar(file("f", noise(60_000)))
    spare = {f"{number}/layer.tar": layer for number in range(1_200)}
    archive = tar_of({**spare, **skopeo_docker(PLAIN)})
    (tmp_path / "archive").write_bytes(archive)

    assert house.load(archive if kind == "stream" else tmp_path / "archive") == ["Loaded image: plain:1\n"]


class _Slow(io.BytesIO):
    """A pipe whose writer takes its time, so that whoever reads ahead is inside a read when the layer fails."""

    def read(self, limit: int | None = -1, /) -> bytes:
        time.sleep(0.01)
        return super().read(limit)


def test_a_broken_layer_in_a_slow_stream_does_not_disturb_what_comes_behind_it(house: House) -> None:
    broken = tar(file("f", b"x" * (3 << 20)))[:-1024] + b"\1" * (9 << 20)
    name = f"blobs/sha256/{hashlib.sha256(broken).hexdigest()}"  # which says that it need not be put aside first
    archive = tar_of({name: broken, **docker_20(PLAIN)})

    assert house.load(_Slow(archive))
    assert house.names()


@pytest.mark.parametrize("maker", ARCHIVES)
def test_a_cut_archive_is_one_error_and_leaves_nothing(house: House, tmp_path: Path, maker: str) -> None:
    archive = tar_of(ARCHIVES[maker](PLAIN))
    needed = len(archive.rstrip(b"\0"))

    for part in range(1, 16):
        cut = archive[: needed * part // 16]
        (tmp_path / "archive").write_bytes(cut)
        with pytest.raises(InvalidArchiveError):
            house.load(cut)
        with pytest.raises(InvalidArchiveError):
            house.load(tmp_path / "archive")
        assert house.is_untouched()


def test_a_directory_gives_nothing_from_outside_of_it(house: House, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"[]")
    archive = written(tmp_path / "archive", {"manifest.json": "../secret"})

    with pytest.raises(InvalidArchiveError, match="leads out"):
        house.load(archive)


def test_one_bad_image_keeps_the_others_out(house: House) -> None:
    with pytest.raises(InvalidArchiveError, match="missing"):
        house.load(tar_of(without(oci(PLAIN, GZIPPED), blob(GZIPPED.layers[1]))))

    assert house.is_untouched()


def test_a_failed_load_takes_nothing_away_that_was_here(house: House) -> None:
    house.load(tar_of(docker_20(PLAIN)))
    before = house.save("plain:1")

    with pytest.raises(InvalidArchiveError):
        house.load(tar_of(without(oci(PLAIN, GZIPPED), blob(GZIPPED.layers[1]))))

    assert house.names() == ["plain:1"]
    assert house.save("plain:1") == before


@pytest.mark.skipif(os.geteuid() != 0, reason="gives attributes")
def test_what_cannot_be_removed_behind_a_failed_load_is_not_told_as_its_failure(house: House, tmp_path: Path) -> None:
    stays = tmp_path / "root" / "trees" / "somebodys"
    stays.mkdir()
    subprocess.run(["chattr", "+i", stays], check=True)
    try:
        with pytest.raises(InvalidArchiveError):
            house.load(tar_of(without(oci(PLAIN, GZIPPED), blob(GZIPPED.layers[1]))))
        left = os.listdir(stays.parent)
    finally:
        subprocess.run(["chattr", "-i", stays], check=True)

    assert (house.names(), left) == ([], ["somebodys"])


def test_a_layer_without_a_recipe_cannot_be_saved_and_says_what_to_do(house: House, tmp_path: Path) -> None:
    house.load(tar_of(docker_20(PLAIN)))
    for recipe in (tmp_path / "root" / "recipes").iterdir():
        recipe.unlink()

    with pytest.raises(NoRecipeError, match="record-recipes") as caught:
        house.save("plain:1")

    assert caught.value.image == "plain:1"


def test_an_image_that_is_removed_while_its_save_begins_is_missing_and_nothing_else(house: House) -> None:
    house.load(tar_of(docker_20(PLAIN)))

    class LeavingTars(StoredLayerTars):
        def size(self, diff_id: DiffID) -> int | None:
            delete_image(house.stores, "plain:1")
            return super().size(diff_id)

    leaving = Saver(house.stores, tars=LeavingTars(house.stores.layers), write=write_archive)

    with pytest.raises(NotFoundError, match="no such image"):
        next(saved(house.stores, leaving, ["plain:1"]))


def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path: Path) -> None:
    with a_house(tmp_path / "root") as house:

        def full() -> None:
            raise StoreFullError(str(tmp_path))

        house.loader._taker = house.loader._taker.__class__(
            applier=house.loader._taker.applier,
            measure=house.loader._taker.measure,
            spool=full,  # type: ignore[arg-type]
        )
        with pytest.raises(StoreFullError):
            house.load(tar_of(docker_20(PLAIN)))

        assert house.is_untouched()
