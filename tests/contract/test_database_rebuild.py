"""A database that is lost, damaged or put back is rebuilt from the log beside it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from headway.composition.checking import checking
from headway.composition.measuring import measuring
from headway.composition.reading import reading
from headway.composition.writing import salvage_store, writing
from headway.errors import StoreCorruptError, StoreError
from headway.oci.digest import DiffID, Digest, ImageID
from headway.records import ImageRecord, LayerBlob
from headway.service.health.damage import Kind
from headway.service.stores import Stores
from headway.settings import Settings
from headway.store.data_root import DataRoot
from headway.store.database.database import Database
from headway.store.database.record_format import last_change
from tests.contract.layer_store_contract import commit
from tests.contract.reference_store_contract import name


def make(stores: Stores, image: str, *layers: str) -> ImageID:
    digest = Digest.of(image.encode())
    stores.blobs.put(digest, image.encode())
    with stores.leases.hold("test", digest) as lease:
        lease.add(Digest.of(layer.encode()) for layer in layers)
        chain = stores.layers.commit_chain([commit(stores.layers, layer) for layer in layers])
        with stores.transaction():
            stores.images.put(
                ImageRecord(
                    image_id=ImageID(digest),
                    created="",
                    size=1,
                    platform="linux/amd64",
                    chain_id=chain,
                    labels={"a": "ü"},
                )
            )
            stores.references.put_tag(name(f"{image}:1"), ImageID(digest))
            lease.drop()
    return ImageID(digest)


def tag_and_fail(stores: Stores, tag: str) -> None:
    with stores.transaction():
        stores.references.put_tag(name(tag), ImageID(Digest.of(b"app")))
        raise ZeroDivisionError


def listed(root: Path) -> dict[str, object]:
    with reading(Settings(data_root=root)) as records:
        return {
            str(reference): (records.images.get(image_id), records.layers.trees(records.images.list()[0].chain_id))
            for reference, image_id in records.references.list()
        }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    with writing(Settings(data_root=path), tell=pytest.fail) as stores:
        make(stores, "app", "base", "top")
        gone = make(stores, "gone", "other")
        stores.references.put_tag(name("app:2"), Digest.of(b"app"))  # type: ignore[arg-type]  # of an image that is here
        stores.references.delete(name("gone:1"))
        stores.garbage.sweep(stores.garbage.forget_image(gone))
    return path


def delete(root: Path) -> None:
    for path in root.glob("headway.db*"):
        path.unlink()


def empty(root: Path) -> None:
    delete(root)
    (root / "headway.db").touch()


def scribble(root: Path) -> None:
    delete(root)
    (root / "headway.db").write_bytes(os.urandom(50_000))


def cut(root: Path) -> None:
    size = (root / "headway.db").stat().st_size
    os.truncate(root / "headway.db", size // 2)


def overwrite_pages(root: Path) -> None:
    data = bytearray((root / "headway.db").read_bytes())
    data[4096 : len(data) // 2] = bytes(len(data) // 2 - 4096)
    (root / "headway.db").write_bytes(data)


@pytest.mark.parametrize("harm", [delete, empty, scribble, cut, overwrite_pages])
def test_whatever_becomes_of_the_database_the_next_start_knows_everything_again(
    root: Path, harm: Callable[[Path], None]
) -> None:
    before, trees = listed(root), sorted(os.listdir(root / "trees"))
    told: list[str] = []
    harm(root)

    with writing(Settings(data_root=root), tell=told.append):
        pass

    assert listed(root) == before
    assert sorted(before) == ["docker.io/library/app:1", "docker.io/library/app:2"]
    assert sorted(os.listdir(root / "trees")) == trees
    assert len(told) == 1
    assert "rebuilt" in told[0]


@pytest.mark.parametrize("text", [b"CREATE TABL", b"CREATE TRIGGE", b"docker.io/library/app:1", b"linux/amd64"])
def test_a_bit_that_makes_text_of_the_database_none_is_told_and_mended(root: Path, text: bytes) -> None:
    before = listed(root)
    database = DataRoot(root).database
    data = database.read_bytes()
    assert text in data
    database.write_bytes(data.replace(text, text[:-2] + bytes([text[-2] | 0x80]) + text[-1:]))

    found = faults(root)
    salvage_store(Settings(data_root=root), lambda _: None)

    assert len(found) >= 1
    assert faults(root) == []
    assert listed(root) == before


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("UPDATE trees SET report = replace(report, ':', ';')", "what is known of a layer"),
        ("UPDATE chains SET parent = chain_id WHERE parent IS NOT NULL", "a chain of layers"),
        ("UPDATE images SET labels = replace(labels, ':', ';')", "the record of an image"),
        ("UPDATE names SET spelling = replace(spelling, 'y/app:1', 'Y/app:1')", "a name of an image"),
        ("UPDATE image_blobs SET digest = replace(digest, 'sha', 'shq')", "the digest of a blob"),
        ("INSERT INTO pulls VALUES ('ab', 1, 1, '{\"pull_id')", "the record of a pull"),
        ("INSERT INTO pulls VALUES ('ab', 1, 1, x'00')", "a row of pulls"),
        ("UPDATE names SET spelling = CAST(spelling AS BLOB)", "a row of names"),
        ("UPDATE images SET platform = CAST(platform AS BLOB)", "a row of images"),
        ("INSERT INTO events (time_nano, type, action, actor, attributes) VALUES (1, '', '', '', '{\t')", "an event"),
    ],
)
def test_a_record_that_nobody_wrote_is_told_and_mended(root: Path, sql: str, what: str) -> None:
    """SQLite gives back as it is what a disk, or a hand, has changed in a text."""
    before = listed(root)
    with closing(sqlite3.connect(DataRoot(root).database)) as database, database:
        database.execute(sql)

    found = faults(root)
    salvage_store(Settings(data_root=root), lambda _: None)

    assert [fault.partition(" cannot be read: ")[0] for fault in found] == [f"the database is damaged: {what}"]
    assert faults(root) == []
    assert listed(root) == before


def test_a_chain_that_leads_back_to_itself_keeps_nobody_waiting(root: Path) -> None:
    with closing(sqlite3.connect(DataRoot(root).database)) as database, database:
        database.execute("UPDATE chains SET parent = chain_id WHERE parent IS NOT NULL")

    with pytest.raises(StoreCorruptError, match="leads back to itself"):
        listed(root)
    with measuring(Settings(data_root=root)) as (_, disk):
        assert disk.measure().total


@pytest.mark.parametrize(
    ("table", "column", "lacking"),
    [
        ("names", "", "it lacks names.image_id"),
        ("hosts", "", "it lacks hosts.host"),
        ("containers", "state", "it lacks containers.state"),
    ],
)
def test_a_database_that_lacks_a_table_or_a_column_is_told_and_mended(
    root: Path, table: str, column: str, lacking: str
) -> None:
    before = listed(root)
    what = f"RENAME COLUMN {column}" if column else "RENAME"
    with closing(sqlite3.connect(DataRoot(root).database)) as database, database:
        database.execute(f"ALTER TABLE {table} {what} TO sames")

    found = faults(root)
    salvage_store(Settings(data_root=root), lambda _: None)

    assert [fault.endswith(lacking) for fault in found] == [True]
    assert faults(root) == []
    assert listed(root) == before


def test_a_number_of_changes_that_is_none_is_that_of_an_older_database(root: Path) -> None:
    before = listed(root)
    with closing(sqlite3.connect(DataRoot(root).database)) as database, database:
        database.execute("UPDATE meta SET value = '1w' WHERE key = 'changes'")
    told: list[str] = []

    with writing(Settings(data_root=root), tell=told.append):
        pass

    assert ["older than the rest of the store" in each for each in told] == [True]
    assert listed(root) == before


def faults(root: Path) -> list[str]:
    """Return what a check finds wrong with the database."""
    try:
        with checking(Settings(data_root=root)) as checker:
            damage = checker.check().damage
    except StoreCorruptError as error:
        return [str(error)]
    return [fault for each in damage if each.kind is Kind.RECORDS for fault in each.faults]


@pytest.mark.parametrize("beside", ["headway.db.v3", "headway.db.v3.new", "headway.db.damaged", "headway.db-journal"])
def test_what_lies_beside_a_database_keeps_nobody_from_rebuilding_it(root: Path, beside: str) -> None:
    before = listed(root)
    delete(root)
    (root / beside).touch()

    with writing(Settings(data_root=root), tell=lambda _: None):
        pass

    assert listed(root) == before != {}


def test_what_a_rebuilding_left_that_was_cut_short_goes(root: Path) -> None:
    before = listed(root)
    for left in ("headway.db.new", "headway.db.new-journal", "records.log.new"):
        (root / left).write_bytes(b"half")

    with writing(Settings(data_root=root), tell=pytest.fail):
        pass

    assert [name for name in os.listdir(root) if ".new" in name] == []
    assert listed(root) == before


def test_what_was_replaced_and_then_deleted_stays_deleted(root: Path) -> None:
    diff_id, blob = DiffID(Digest.of(b"layer")), LayerBlob(Digest.of(b"blob"), "registry.example/app")
    with writing(Settings(data_root=root), tell=pytest.fail) as stores:
        stores.metadata.remember(diff_id, blob)
        stores.metadata.remember(diff_id, blob)
        stores.metadata.forget(blob)
    delete(root)

    with writing(Settings(data_root=root), tell=lambda _: None) as stores:
        found = stores.metadata.blobs_of(diff_id)

    assert found == []


def test_a_database_that_was_put_back_from_before_is_brought_up_to_date(root: Path, tmp_path: Path) -> None:
    shutil.copy(root / "headway.db", tmp_path / "before")
    with writing(Settings(data_root=root), tell=pytest.fail) as stores:
        make(stores, "late", "late layer")
    after = listed(root)
    shutil.copy(tmp_path / "before", root / "headway.db")
    told: list[str] = []

    with writing(Settings(data_root=root), tell=told.append):
        pass

    assert listed(root) == after
    assert "docker.io/library/late:1" in after
    assert ["older" in sentence for sentence in told] == [True]


def test_a_log_that_is_gone_or_behind_is_written_anew(root: Path) -> None:
    log = DataRoot(root).record_log
    lines = log.read_bytes().splitlines(keepends=True)
    for harmed in (b"", b"".join(lines[:-3]), log.read_bytes()[:-5]):
        log.write_bytes(harmed)

        with writing(Settings(data_root=root), tell=pytest.fail):
            pass
        before = listed(root)
        delete(root)
        with writing(Settings(data_root=root), tell=lambda _: None):
            pass

        assert listed(root) == before != {}


def test_what_is_rolled_back_is_not_in_the_log(root: Path) -> None:
    log = DataRoot(root).record_log
    before = log.read_bytes()

    with writing(Settings(data_root=root), tell=pytest.fail) as stores:
        with pytest.raises(ZeroDivisionError):
            tag_and_fail(stores, "half:1")
        with stores.transaction():
            with pytest.raises(ZeroDivisionError):
                tag_and_fail(stores, "half:2")
            stores.references.put_tag(name("whole:1"), ImageID(Digest.of(b"app")))

    added = log.read_bytes().removeprefix(before).decode()
    assert "half" not in added
    assert [json.loads(line)[0] for line in added.splitlines()] == ["+", "="]


def test_a_log_that_is_torn_between_rows_gives_what_fits_together(root: Path) -> None:
    log = DataRoot(root).record_log
    kept = [line for line in log.read_text().splitlines() if not line.startswith('["+","images"')]
    log.write_text("\n".join(kept) + "\n")
    delete(root)

    with writing(Settings(data_root=root), tell=lambda _: None):
        pass

    assert listed(root) == {}


@pytest.mark.parametrize(
    ("was", "became"),
    [
        (b'app:1","docker.io/library/app","tag"', b'app:1","docker.io/library/app","tag!"'),
        (b'app:1","docker.io/library/app","tag"', b'app:1","docker.io/library/app",9764185849000000000'),
    ],
)
def test_a_bit_of_the_log_that_has_changed_costs_its_row_at_most(root: Path, was: bytes, became: bytes) -> None:
    log = DataRoot(root).record_log
    before = listed(root)
    log.write_bytes(log.read_bytes().replace(was, became, 1))
    delete(root)

    with writing(Settings(data_root=root), tell=lambda _: None):
        pass

    del before["docker.io/library/app:1"]
    assert listed(root) == before != {}


def test_without_database_and_log_nothing_is_thrown_away(root: Path) -> None:
    delete(root)
    DataRoot(root).record_log.unlink()
    trees = sorted(os.listdir(root / "trees"))

    with pytest.raises(StoreCorruptError, match="gone"), writing(Settings(data_root=root), tell=pytest.fail):
        pass

    assert sorted(os.listdir(root / "trees")) == trees


def test_readers_say_that_the_database_is_gone_instead_of_listing_nothing(root: Path) -> None:
    delete(root)

    with pytest.raises(StoreCorruptError, match="is gone"), reading(Settings(data_root=root)):
        pass


def test_the_log_is_written_anew_when_it_has_grown(tmp_path: Path) -> None:
    log = tmp_path / "records.log"
    with Database.open(tmp_path / "headway.db") as database:
        database.log_to(log, "test", least_bytes=20_000)
        for number in range(300):
            database.execute("INSERT OR REPLACE INTO leases VALUES (?, 'moving', 0, ?)", (f"{number % 3}", number))

    assert log.stat().st_size < 25_000
    assert last_change(log) == 300


def test_a_log_that_cannot_even_be_closed_costs_nobody_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = os.close

    def fail(descriptor: int) -> None:
        close(descriptor)
        raise OSError(errno.EDQUOT, "told at the close")

    with Database.open(tmp_path / "headway.db") as database:
        database.log_to(tmp_path / "records.log", "test")
        monkeypatch.setattr("headway.store.database.record_log.os.write", lambda *_: 1)
        monkeypatch.setattr("headway.store.database.record_log.os.close", fail)
        database.execute("INSERT INTO leases VALUES ('one', 'kept', 0, 0)")
        monkeypatch.undo()
        database.execute("INSERT INTO leases VALUES ('two', 'kept', 0, 0)")

    assert last_change(tmp_path / "records.log") == 2


def test_a_log_that_found_no_room_is_written_anew_when_there_is_some(tmp_path: Path, small_disk: Path) -> None:
    log, ballast = small_disk / "records.log", small_disk / "ballast"
    with Database.open(tmp_path / "headway.db") as database:
        database.log_to(log, "test")
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass
        for number in range(200):
            database.execute("INSERT INTO leases VALUES (?, 'kept', 0, 0)", (f"{number} {'x' * 200}",))
        behind = last_change(log), sorted(os.listdir(small_disk))
        ballast.unlink()
        database.execute("INSERT INTO leases VALUES ('last', 'kept', 0, 0)")

        assert behind == (-1, ["ballast", "records.log"])
        assert last_change(log) == 201
        assert log.read_bytes().count(b'["+","leases"') == 201


def test_a_log_that_is_written_anew_is_synced_before_it_has_its_name_and_its_name_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, bool]] = []
    log = tmp_path / "records.log"
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        steps.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, log.exists()))
        fsync(descriptor)

    with Database.open(tmp_path / "headway.db") as database:
        monkeypatch.setattr(os, "fsync", noted)
        database.log_to(log, "test")
        monkeypatch.undo()

    assert steps == [("records.log.new", False), (tmp_path.name, True)]


def test_a_log_whose_first_line_is_no_text_is_written_anew(root: Path) -> None:
    log = DataRoot(root).record_log
    whole = log.read_bytes()
    log.write_bytes(whole.replace(b'"program":"', b'"program":"\xff', 1))

    with writing(Settings(data_root=root), tell=pytest.fail):
        pass

    assert log.read_bytes().splitlines()[0] == whole.splitlines()[0]


def test_without_a_database_a_log_whose_first_line_is_no_text_is_named(root: Path) -> None:
    log = DataRoot(root).record_log
    log.write_bytes(log.read_bytes().replace(b'"program":"', b'"program":"\xff', 1))
    delete(root)

    with pytest.raises(StoreCorruptError, match="gone"), writing(Settings(data_root=root), tell=pytest.fail):
        pass


@pytest.mark.parametrize("what", ["headway", "schema"])
def test_a_log_of_a_newer_program_is_left_to_that(root: Path, what: str) -> None:
    log = DataRoot(root).record_log
    first, rest = log.read_bytes().split(b"\n", 1)
    header = json.loads(first) | {what: 99, "program": "9.9"}
    log.write_bytes(json.dumps(header).encode() + b"\n" + rest)
    delete(root)

    with pytest.raises(StoreError, match=r"9\.9"), writing(Settings(data_root=root), tell=pytest.fail):
        pass

    assert log.read_bytes().endswith(rest)
