"""What a writer finds at start, and what it makes of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from headway.composition.writing import writing
from headway.distribution.ranges import Ranges
from headway.oci.digest import ALGORITHMS, ChainID, Digest, ImageID
from headway.records import ImageRecord
from headway.settings import Settings
from headway.store.content.blobs import FileBlobStore
from headway.store.content.ingests import FileIngestStore
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.images import SqliteImageStore
from headway.store.recovery.recovery import Recovered, recover
from headway.store.references import SqliteReferenceStore
from headway.store.space.garbage import SqliteGarbage
from headway.store.space.leases import SqliteLeases
from headway.store.trees.layer_rows import tree_directory
from headway.store.trees.layers import SqliteLayerStore
from tests.contract.layer_store_contract import LEANING, chain_id, commit, derive, diff_id, files, with_recipe
from tests.contract.reference_store_contract import name


def recovered(root: DataRoot, database: Database) -> Recovered:
    leases = SqliteLeases(database)
    return recover(root, database, leases, SqliteGarbage(root, database, leases, discard=lambda _: None))


class Store:
    """A data root with one image of two layers, the second of which leans on the first."""

    def __init__(self, root: DataRoot, database: Database) -> None:
        self.root = root
        self.database = database
        self.blobs = FileBlobStore(root)
        self.layers = SqliteLayerStore(root, database, derive=derive)
        self.images = SqliteImageStore(database)
        self.references = SqliteReferenceStore(database)

    def pull(self, image: str, *layers: str) -> ImageID:
        """Record an image, its config and its layers, of which all but the first lean on the others."""
        ids = [commit(self.layers, layer, LEANING) for layer in layers]
        digest = Digest.of(image.encode())
        self.blobs.put(digest, image.encode())
        chain = self.layers.commit_chain(ids)
        self.images.put(
            ImageRecord(image_id=ImageID(digest), created="", size=1, platform="linux/amd64", chain_id=chain)
        )
        self.references.put_tag(name(f"{image}:1"), ImageID(digest))
        return ImageID(digest)

    def recover(self) -> Recovered:
        return recovered(self.root, self.database)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    root = DataRoot(tmp_path / "root")
    root.create()
    with Database.open(root.database) as database:
        recovered(root, database)
        yield Store(root, database)


def test_a_new_data_root_gets_its_directories(tmp_path: Path) -> None:
    root = DataRoot(tmp_path / "root")
    root.create()

    with Database.open(root.database) as database:
        found = recovered(root, database)

    assert found == Recovered()
    made = {"blobs", "ingest", "trees", "recipes", "rw", "mounts", "tmp"}
    assert {*made, "headway.db"} == set(os.listdir(root.path))
    assert {(root.path / one).stat().st_mode & 0o777 for one in made} == {0o700}


def test_what_is_right_is_left_alone(store: Store) -> None:
    image = store.pull("app", "base", "top")
    ingest = FileIngestStore(store.root, boot_id="0" * 32).open(Digest.of(b"unfinished"), 10)
    ingest.write_at(0, b"unfin")
    ingest.close()

    found = store.recover()

    assert found == Recovered()
    assert files(store.layers, chain_id("base", "top")) == ["base", "top-over-base"]
    assert store.references.get(name("app:1")) == image
    assert FileIngestStore(store.root, boot_id="0" * 32).held(Digest.of(b"unfinished")) == 5


def test_litter_is_removed(store: Store) -> None:
    root = store.root
    (root.tmp / "private" / "deep").mkdir(parents=True)
    (root.tmp / "blob").write_text("half")
    (root.trees / tree_directory(diff_id("uncommitted")) / "usr").mkdir(parents=True)
    (root.ingests / "no digest").mkdir()
    (root.ingests / "file").touch()
    (root.ingests / tree_directory(diff_id("no journal"))).mkdir()
    (root.blobs / "sha256" / "abc.tmp").touch()
    (root.recipes / tree_directory(diff_id("uncommitted"))).touch()

    found = store.recover()

    tree = tree_directory(diff_id("uncommitted"))
    assert (found.litter, found.freed.directories, found.lost_images) == (6, (tree,), ())
    left = {path.relative_to(root.path) for path in root.path.rglob("*") if path.parent != root.path}
    assert {str(path) for path in left} == {f"blobs/{algorithm}" for algorithm in ALGORITHMS}


@pytest.mark.parametrize("name", ["", "journal", "data", "journal.new"])
@pytest.mark.parametrize("kind", ["directory", "fifo", "link"])
def test_what_has_the_place_of_an_unfinished_blob_or_of_one_of_its_files_is_removed(
    store: Store, tmp_path: Path, name: str, kind: str
) -> None:
    elsewhere, digest = tmp_path / "elsewhere", Digest.of(b"unfinished")
    elsewhere.mkdir()
    ingests = FileIngestStore(store.root, boot_id="0" * 32)
    ingest = ingests.open(digest, 10)
    ingest.write_at(0, b"first")
    ingest.close()
    place = store.root.ingest(digest) / name
    if place.exists():
        place.rename(elsewhere / "moved")
    match kind:
        case "directory":
            place.mkdir()
        case "fifo":
            os.mkfifo(place)
        case "link":
            place.symlink_to(elsewhere / "moved" if name != "journal.new" else elsewhere / "new")

    found = store.recover()

    assert (found.litter, os.listdir(store.root.ingests)) == (1, [])
    with closing(ingests.open(digest, 10)) as again:
        assert again.held() == Ranges()
    assert os.listdir(elsewhere) == (["moved"] if name != "journal.new" else [])


def test_a_lost_image_whose_chain_leads_back_to_itself_keeps_no_start_waiting(store: Store) -> None:
    image = store.pull("lost", "base", "top")
    store.database.execute("UPDATE chains SET parent = chain_id WHERE parent IS NOT NULL")
    store.root.blob(image).unlink()

    assert [lost.image_id for lost in store.recover().lost_images] == [image]


def test_a_lost_tree_takes_the_chains_and_images_that_need_it_along_and_leaves_the_other_layers(store: Store) -> None:
    lost, kept = store.pull("lost", "base", "top"), store.pull("kept", "other")
    shutil.rmtree(store.root.trees / tree_directory(diff_id("base")))

    found = store.recover()

    assert found.lost_trees == (diff_id("base"),)
    assert not any(store.layers.has_chain(chain_id(*stack)) for stack in (["base"], ["base", "top"]))
    (told,) = found.lost_images
    assert (told.image_id, told.names) == (lost, ("docker.io/library/lost:1",))
    assert found.freed.directories == (f"chain-{tree_directory(chain_id('base', 'top'))}",)
    assert [record.image_id for record in store.images.list()] == [kept]
    assert store.references.list() == [(name("kept:1"), kept)]
    assert store.layers.has_tree(diff_id("top"))
    assert store.recover() == Recovered()


def test_what_stood_for_a_lost_image_is_remembered_until_it_stands_for_one_again(store: Store) -> None:
    lost = store.pull("lost", "base")
    store.references.put_tag(name("other:1"), lost)
    shutil.rmtree(store.root.trees / tree_directory(diff_id("base")))
    store.recover()

    def remembered() -> list[str]:
        return [spelling for (spelling,) in store.database.query("SELECT spelling FROM lost_names ORDER BY spelling")]

    assert remembered() == ["docker.io/library/lost:1", "docker.io/library/other:1"]
    store.pull("lost", "base")
    assert remembered() == ["docker.io/library/other:1"]


def test_a_recipe_stays_with_its_tree_and_goes_without_it(store: Store) -> None:
    for layer in ("kept", "lost"):
        with_recipe(store.layers, layer)
        store.pull(layer, layer)
    shutil.rmtree(store.root.trees / tree_directory(diff_id("lost")))

    found = store.recover()

    assert (found.freed.directories, found.lost_trees) == ((tree_directory(diff_id("lost")),), (diff_id("lost"),))
    assert os.listdir(store.root.recipes) == [tree_directory(diff_id("kept"))]


def test_a_lost_derived_tree_takes_its_chain_along(store: Store) -> None:
    image = store.pull("app", "base", "top", "upper")
    shutil.rmtree(store.root.trees / f"chain-{tree_directory(chain_id('base', 'top'))}")

    found = store.recover()
    left = [store.layers.has_chain(chain_id(*stack)) for stack in (["base", "top"], ["base", "top", "upper"])]
    again = store.pull("app", "base", "top", "upper")

    assert (found.lost_trees, left) == ((), [False, False])
    assert [lost.image_id for lost in found.lost_images] == [image]
    assert again == image
    assert len(files(store.layers, chain_id("base", "top", "upper"))) == 3


def test_an_image_without_its_config_is_not_listed(store: Store) -> None:
    image = store.pull("app", "base")
    store.blobs.delete(image)

    found = store.recover()

    assert [lost.image_id for lost in found.lost_images] == [image]
    assert store.images.list() == []


def test_an_image_whose_chain_was_never_recorded_is_not_listed(store: Store) -> None:
    image = store.pull("app", "base")
    record = store.images.get(image)
    assert record is not None
    store.images.put(
        ImageRecord(image_id=image, created="", size=1, platform="linux/amd64", chain_id=ChainID(Digest.of(b"?")))
    )

    found = store.recover()

    assert [lost.names for lost in found.lost_images] == [("docker.io/library/app:1",)]


@pytest.mark.parametrize("note", ["", "[", "5", "{}", '["{boot}", "sha256:x", {}]', '["{boot}", 1, 2, 3]', "\0\0"])
def test_a_note_on_a_tree_that_says_nothing_keeps_nobody_from_starting(tmp_path: Path, note: str) -> None:
    settings = Settings(data_root=tmp_path / "root")
    with writing(settings, tell=pytest.fail):
        pass
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (tmp_path / "root" / "tmp" / "tree.whole").write_text(note.replace("{boot}", boot))

    with writing(settings, tell=pytest.fail):
        pass

    assert os.listdir(tmp_path / "root" / "tmp") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
@pytest.mark.parametrize("place", ["tmp", "trees", "recipes", "blobs/sha256", "ingest", "rw", "mounts"])
def test_what_somebody_has_mounted_inside_stays_and_keeps_nobody_from_starting(tmp_path: Path, place: str) -> None:
    settings = Settings(data_root=tmp_path / "root")
    with writing(settings, tell=pytest.fail):
        pass
    target = tmp_path / "root" / place / "somebodys"
    target.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "headway-somebodys", target], check=True)
    try:
        (target / "file").touch()

        with writing(settings, tell=pytest.fail):
            pass

        assert (target / "file").exists()
    finally:
        subprocess.run(["umount", target], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives attributes")
@pytest.mark.parametrize("place", ["tmp", "trees", "recipes", "blobs/sha256", "ingest", "rw", "mounts"])
def test_what_somebody_has_made_immutable_stays_and_keeps_nobody_from_starting(tmp_path: Path, place: str) -> None:
    settings = Settings(data_root=tmp_path / "root")
    with writing(settings, tell=pytest.fail):
        pass
    places = [tmp_path / "root" / place / name for name in ("first", "somebodys", "third")]
    for each in places:
        each.mkdir()
    subprocess.run(["chattr", "+i", places[1]], check=True)
    try:
        with writing(settings, tell=pytest.fail):
            pass

        assert [each.exists() for each in places] == [False, True, False]
        assert place == "tmp" or os.listdir(tmp_path / "root" / "tmp") == []
    finally:
        subprocess.run(["chattr", "-i", places[1]], check=True)

    with writing(settings, tell=pytest.fail):
        assert not places[1].exists()


def test_links_in_the_data_roots_directories_are_not_followed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").touch()
    for directory in (store.root.tmp, store.root.trees, store.root.ingests):
        (directory / "link").symlink_to(tmp_path / "outside")

    found = store.recover()

    assert (found.litter, found.freed.directories) == (2, ("link",))
    assert os.listdir(tmp_path / "outside") == ["kept"]
