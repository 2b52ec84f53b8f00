"""Unfinished blobs: the contract, and what only a disk can do to them."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.distribution.ranges import Ranges
from headway.errors import StoreError, StoreFullError
from headway.interfaces.content import BlobStore, Ingest, IngestStore
from headway.oci.digest import Digest
from headway.store.content import journal
from headway.store.content.blobs import FileBlobStore
from headway.store.content.ingests import FileIngestStore
from headway.store.data_root import DataRoot
from headway.store.removal import remove_tree
from tests.contract.ingest_contract import BLOB, DIGEST, IngestContract
from tests.fakes.memory import MemoryBlobStore, MemoryIngestStore

BOOT = "11111111-2222-3333-4444-555555555555"
OTHER_BOOT = "99999999-2222-3333-4444-555555555555"
PIECE = 1000


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    root = DataRoot(tmp_path)
    root.make_directories()
    return root


class TestFileIngests(IngestContract):
    @pytest.fixture
    def subject(self, root: DataRoot) -> IngestStore:
        return FileIngestStore(root, boot_id=BOOT)

    @pytest.fixture
    def blobs(self, root: DataRoot) -> BlobStore:
        return FileBlobStore(root)


class TestMemoryIngests(IngestContract):
    @pytest.fixture
    def blobs(self) -> MemoryBlobStore:
        return MemoryBlobStore()

    @pytest.fixture
    def subject(self, blobs: MemoryBlobStore) -> IngestStore:
        return MemoryIngestStore(blobs)


# --- what is found after a crash --------------------------------------------------------------------------------


def plant(root: DataRoot, pieces: int, *, boot: str = BOOT) -> None:
    """Leave an ingest with the first `pieces` pieces, each with a record of its own, as a killed process would."""
    ingest = FileIngestStore(root, boot_id=boot).open(DIGEST, len(BLOB))
    for start in range(0, pieces * PIECE, PIECE):
        ingest.write_at(start, BLOB[start : start + PIECE])
        ingest.sync()  # its record grows no more
    ingest.close()


def data(root: DataRoot) -> Path:
    return root.ingest(DIGEST) / "data"


def records(root: DataRoot) -> Path:
    return root.ingest(DIGEST) / "journal"


def reopened(root: DataRoot, boot: str) -> Ranges:
    """Return what is held after a reopen; whatever is held must be true."""
    ingest = FileIngestStore(root, boot_id=boot).open(DIGEST, len(BLOB))
    held = ingest.held()
    content = data(root).read_bytes()
    assert all(content[start:end] == BLOB[start:end] for start, end in held)
    assert ingest.unsynced() == (held.total if boot == BOOT else 0)
    ingest.close()
    return held


@pytest.mark.parametrize("boot", [BOOT, OTHER_BOOT])
@pytest.mark.parametrize("percent", [0, 10, 50, 90, 100])
def test_a_data_file_that_lost_its_tail_costs_the_pieces_it_lost(root: DataRoot, boot: str, percent: int) -> None:
    plant(root, 20)
    os.truncate(data(root), 20 * PIECE * percent // 100)

    held = reopened(root, boot)

    assert held == Ranges([(0, 20 * PIECE * percent // 100)])


@pytest.mark.parametrize("boot", [BOOT, OTHER_BOOT])
@pytest.mark.parametrize("torn", [1, 8, 15])
def test_a_torn_last_record_costs_a_piece(root: DataRoot, boot: str, torn: int) -> None:
    plant(root, 5)
    os.truncate(records(root), records(root).stat().st_size - torn)

    held = reopened(root, boot)

    assert held == Ranges([(0, 4 * PIECE)])


def test_records_after_a_torn_one_are_aligned(root: DataRoot) -> None:
    plant(root, 5)
    os.truncate(records(root), records(root).stat().st_size - 3)
    ingest = FileIngestStore(root, boot_id=BOOT).open(DIGEST, len(BLOB))
    ingest.write_at(9 * PIECE, BLOB[9 * PIECE : 10 * PIECE])
    ingest.close()

    held = reopened(root, OTHER_BOOT)

    assert held == Ranges([(0, 4 * PIECE), (9 * PIECE, 10 * PIECE)])


def test_after_a_power_cut_a_zeroed_tail_costs_the_pieces_it_touches(root: DataRoot) -> None:
    plant(root, 20)
    with data(root).open("r+b") as file:
        file.seek(17 * PIECE + 10)
        file.write(bytes(2 * PIECE))

    held = reopened(root, OTHER_BOOT)

    assert held == Ranges([(0, 17 * PIECE)]) or held == Ranges([(0, 17 * PIECE), (19 * PIECE + 10, 20 * PIECE)])


@pytest.mark.parametrize("boot", [BOOT, OTHER_BOOT])
@pytest.mark.parametrize("garbage", [b"\0" * 160, b"\xff" * 160, b"text that is no record, and long enough."])
def test_garbage_behind_the_records_costs_nothing(root: DataRoot, boot: str, garbage: bytes) -> None:
    plant(root, 5)
    with records(root).open("ab") as file:
        file.write(garbage)

    held = reopened(root, boot)

    assert held == Ranges([(0, 5 * PIECE)])


@pytest.mark.parametrize("header", [b"", b"HWJ1", b"HWJ2" + bytes(32), bytes(36), os.urandom(200)])
def test_an_unreadable_journal_starts_empty(root: DataRoot, header: bytes) -> None:
    plant(root, 5)
    records(root).write_bytes(header)

    held = FileIngestStore(root, boot_id=BOOT).held(DIGEST), reopened(root, BOOT)

    assert held == (0, Ranges())


def test_a_journal_with_a_flipped_bit_in_its_header_starts_empty(root: DataRoot) -> None:
    plant(root, 5)
    content = bytearray(records(root).read_bytes())
    content[10] ^= 1
    records(root).write_bytes(content)

    held = reopened(root, BOOT)

    assert held == Ranges()


def test_a_missing_data_file_holds_nothing(root: DataRoot) -> None:
    plant(root, 5)
    data(root).unlink()

    held = FileIngestStore(root, boot_id=BOOT).held(DIGEST), reopened(root, BOOT)

    assert held == (0, Ranges())


def test_pieces_that_were_checked_after_a_reboot_are_not_checked_again(root: DataRoot) -> None:
    plant(root, 5)
    ingest = FileIngestStore(root, boot_id=OTHER_BOOT).open(DIGEST, len(BLOB))
    ingest.close()

    found = journal.decode(records(root).read_bytes())

    assert found is not None
    assert found.boot_id == bytes.fromhex(OTHER_BOOT.replace("-", ""))
    assert len(found.records) == 5


def recorded(root: DataRoot) -> list[journal.Record]:
    found = journal.decode(records(root).read_bytes())
    assert found is not None
    return found.records


def test_what_several_streams_bring_in_packets_takes_few_records(root: DataRoot) -> None:
    ingest = FileIngestStore(root, boot_id=BOOT).open(DIGEST, len(BLOB))
    for at in range(0, 10 * PIECE, 50):
        for stream in (0, 40 * PIECE, 20 * PIECE):
            ingest.write_at(stream + at, BLOB[stream + at : stream + at + 50])
    ingest.close()

    assert len(recorded(root)) == 3
    assert reopened(root, OTHER_BOOT) == Ranges([(n * PIECE, (n + 10) * PIECE) for n in (0, 20, 40)])


def test_a_record_grows_so_far_and_no_further(root: DataRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "GROWS_TO", 3 * PIECE)
    ingest = FileIngestStore(root, boot_id=BOOT).open(DIGEST, len(BLOB))
    for start in range(0, 8 * PIECE, PIECE):
        ingest.write_at(start, BLOB[start : start + PIECE])
    ingest.close()

    assert [record.length for record in recorded(root)] == [3 * PIECE, 3 * PIECE, 2 * PIECE]
    assert reopened(root, OTHER_BOOT) == Ranges([(0, 8 * PIECE)])


def test_a_sync_is_of_the_bytes_and_then_of_their_records_and_the_first_one_of_the_names_too(
    root: DataRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("headway.store.content.ingest.fsync_directory", lambda path: synced.append(Path(path)))
    monkeypatch.setattr(
        os, "fdatasync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
    )
    ingest = FileIngestStore(root, boot_id=BOOT).open(DIGEST, len(BLOB))

    for start in (0, PIECE):
        ingest.write_at(start, BLOB[start : start + PIECE])
        ingest.sync()
    ingest.close()

    content = [data(root), records(root)]
    assert synced == [*content, root.ingest(DIGEST), root.ingests, *content]


@pytest.mark.parametrize("when", ["before", "under way"])
def test_what_was_synced_is_not_lost_with_what_followed_it(root: DataRoot, when: str) -> None:
    def write(descriptor: int, content: bytes, offset: int) -> int:
        if when == "under way" and offset == PIECE:
            ingest.sync()
        return os.pwrite(descriptor, content, offset)

    ingest = FileIngestStore(root, boot_id=BOOT, write=write).open(DIGEST, len(BLOB))
    ingest.write_at(0, BLOB[:PIECE])
    if when == "before":
        ingest.sync()
    ingest.write_at(PIECE, BLOB[PIECE : 2 * PIECE])
    ingest.close()
    with data(root).open("r+b") as file:  # the power goes before the second piece is on the disk
        file.seek(PIECE)
        file.write(bytes(PIECE))

    assert reopened(root, OTHER_BOOT) == Ranges([(0, PIECE)])


def test_a_killed_writer_loses_only_what_was_under_way(root: DataRoot) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path;"
        "from headway.store.data_root import DataRoot; from headway.store.content.ingests import FileIngestStore;"
        "from tests.contract.ingest_contract import BLOB, DIGEST;"
        f"ingest = FileIngestStore(DataRoot(Path(sys.argv[1])), boot_id={BOOT!r}).open(DIGEST, len(BLOB));"
        "[ingest.write_at(start, BLOB[start:start + 1000]) for start in range(0, 12000, 1000)];"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )

    subprocess.run([sys.executable, "-c", script, str(root.path)], check=False)

    assert reopened(root, BOOT) == Ranges([(0, 12_000)])


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_held_bytes_are_true_bytes_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    root = DataRoot(tmp_path_factory.mktemp("root"))
    root.make_directories()
    size = data.draw(st.integers(1, 400))
    blob = BLOB[256 - 7 : 256 - 7 + size]
    digest = Digest.of(blob)
    files = root.ingest(digest)
    for boot in range(1, data.draw(st.integers(2, 4))):
        ingest = FileIngestStore(root, boot_id=f"{boot:032x}").open(digest, size)
        found = (files / "data").read_bytes()
        assert all(found[start:end] == blob[start:end] for start, end in ingest.held())

        for _ in range(data.draw(st.integers(0, 6))):
            start = data.draw(st.integers(0, size - 1))
            end = data.draw(st.integers(start + 1, size))
            before = ingest.held()
            fresh = ingest.write_at(start, blob[start:end])
            assert fresh == before.add(start, end)
            assert ingest.held() == before
        ingest.close()

        for name in ("data", "journal") if files.exists() else ():
            content = bytearray((files / name).read_bytes())
            for position in data.draw(st.sets(st.integers(0, max(0, len(content) - 1)), max_size=8)):
                if position < len(content):
                    content[position] = 0
            (files / name).write_bytes(content[: data.draw(st.integers(0, len(content)))])


# --- a disk that is full ----------------------------------------------------------------------------------------


class FillingDisk:
    """A `pwrite` that has room for so many bytes, and writes what fits."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self, descriptor: int, data: bytes, offset: int) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = os.pwrite(descriptor, data[: self.room], offset)
        self.room -= written
        return written


def test_what_was_being_written_when_it_was_closed_is_kept(root: DataRoot) -> None:
    begun, goes_on = Event(), Event()

    def write(descriptor: int, data: bytes, offset: int) -> int:
        begun.set()
        goes_on.wait()
        return os.pwrite(descriptor, data, offset)

    store = FileIngestStore(root, boot_id=BOOT, write=write)
    ingest = store.open(DIGEST, len(BLOB))
    follower = ingest.follow()
    fresh: list[int] = []
    writing = Thread(target=lambda: fresh.append(ingest.write_at(0, BLOB)))
    closing = Thread(target=ingest.close)

    writing.start()
    begun.wait()
    closing.start()
    with pytest.raises(InterruptedError):
        follower.read(1)  # it is closed now, and waits for the write
    goes_on.set()
    writing.join()
    closing.join()

    assert (fresh, store.held(DIGEST)) == ([len(BLOB)], len(BLOB))


class TellingLock:
    """A lock that lets somebody in once it has been given back."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.acquire = self._lock.acquire
        self.then: list[Callable[[], None]] = []

    def release(self) -> None:
        self._lock.release()
        if self.then:
            self.then.pop()()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def test_what_goes_early_was_not_synced_in_the_moment_before(root: DataRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = TellingLock()
    monkeypatch.setattr("headway.store.content.ingest.Lock", lambda: lock)
    ingest = FileIngestStore(root, boot_id=BOOT).open(DIGEST, len(BLOB))
    ingest.write_at(0, BLOB)
    lock.then.append(ingest.sync)

    is_gone = ingest.discard_unless_synced()

    assert is_gone == bool(ingest.unsynced()) == (not data(root).exists())


def test_what_is_counted_as_synced_does_not_grow_while_it_is(root: DataRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = TellingLock()
    fdatasync = os.fdatasync
    monkeypatch.setattr("headway.store.content.ingest.Lock", lambda: lock)
    ingest = FileIngestStore(root, boot_id=BOOT).open(DIGEST, len(BLOB))

    def write(place: int) -> None:
        ingest.write_at(place * PIECE, BLOB[place * PIECE : (place + 1) * PIECE])

    def go_on_behind_the_data(descriptor: int) -> None:
        monkeypatch.setattr(os, "fdatasync", fdatasync)
        fdatasync(descriptor)
        write(2)

    monkeypatch.setattr(os, "fdatasync", go_on_behind_the_data)
    write(0)
    lock.then.append(lambda: write(1))
    ingest.sync()
    unsynced = ingest.unsynced()
    ingest.close()
    with data(root).open("r+b") as file:  # the power goes before the last piece is on the disk
        file.seek(2 * PIECE)
        file.write(bytes(PIECE))

    assert unsynced == PIECE
    assert reopened(root, OTHER_BOOT) == Ranges([(0, 2 * PIECE)])


def test_short_writes_are_completed(root: DataRoot) -> None:
    def seven_at_most(descriptor: int, data: bytes, offset: int) -> int:
        return os.pwrite(descriptor, data[:7], offset)

    ingest = FileIngestStore(root, boot_id=BOOT, write=seven_at_most).open(DIGEST, len(BLOB))
    ingest.write_at(0, BLOB[:PIECE])
    ingest.close()

    assert reopened(root, OTHER_BOOT) == Ranges([(0, PIECE)])


@pytest.mark.parametrize(
    ("place", "room"),
    [
        *((2, room) for room in (0, 1, 999, 1000, 1001, 1008, 1015)),
        # A record that grows has its room already: no disk cuts it short within what changes.
        *((1, room) for room in (0, 1, 999, 1000, 1001, 1008)),
    ],
)
def test_a_full_disk_keeps_what_was_recorded_and_goes_on_when_there_is_room(
    root: DataRoot, place: int, room: int
) -> None:
    disk = FillingDisk(1016 + room)
    ingest = FileIngestStore(root, boot_id=BOOT, write=disk).open(DIGEST, len(BLOB))
    ingest.write_at(0, BLOB[:PIECE])

    with pytest.raises(StoreFullError):
        ingest.write_at(place * PIECE, BLOB[place * PIECE : (place + 1) * PIECE])
    while_full = ingest.held()
    disk.room = 10_000
    ingest.write_at(5 * PIECE, BLOB[5 * PIECE : 6 * PIECE])
    ingest.close()

    assert while_full == Ranges([(0, PIECE)])
    assert reopened(root, OTHER_BOOT) == Ranges([(0, PIECE), (5 * PIECE, 6 * PIECE)])


class FullForData(FillingDisk):
    """A disk on which only the journal still finds room: its last block is not full yet."""

    def __call__(self, descriptor: int, data: bytes, offset: int) -> int:
        is_record = len(data) == journal.RECORD_LENGTH
        return os.pwrite(descriptor, data, offset) if is_record else super().__call__(descriptor, data, offset)


@pytest.mark.parametrize("room", [0, 1, 999])
def test_what_still_fits_of_a_piece_is_kept(root: DataRoot, room: int) -> None:
    disk = FullForData(PIECE + room)
    ingest = FileIngestStore(root, boot_id=BOOT, write=disk).open(DIGEST, len(BLOB))
    ingest.write_at(0, BLOB[:PIECE])

    with pytest.raises(StoreFullError):
        ingest.write_at(PIECE, BLOB[PIECE : 2 * PIECE])
    held = ingest.held()
    ingest.close()

    assert held == Ranges([(0, PIECE + room)])
    assert reopened(root, OTHER_BOOT) == held


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_after_a_reboot_a_full_disk_still_tells_what_is_held_and_takes_the_rest_later(small_disk: Path) -> None:
    root = DataRoot(small_disk / "root")
    root.create()
    root.make_directories()
    plant(root, 5)
    os.truncate(records(root), records(root).stat().st_size - 3)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))

    found = reopened(root, OTHER_BOOT)
    ingest = FileIngestStore(root, boot_id=OTHER_BOOT).open(DIGEST, len(BLOB))
    with pytest.raises(StoreFullError):
        write_all(ingest, BLOB)
    filler.unlink()
    ingest.write_at(9 * PIECE, BLOB[9 * PIECE : 10 * PIECE])
    ingest.close()

    assert found == Ranges([(0, 4 * PIECE)])
    assert reopened(root, OTHER_BOOT).total >= 5 * PIECE
    assert reopened(root, "77777777-2222-3333-4444-555555555555").total >= 5 * PIECE


def test_one_that_a_full_disk_kept_from_being_begun_is_none(root: DataRoot) -> None:
    root.ingest(DIGEST).mkdir()
    (root.ingests / f"{DIGEST.algorithm}-{Digest.of(b'x').hex}").touch()

    assert list(FileIngestStore(root, boot_id=BOOT).walk()) == []


def write_all(ingest: Ingest, blob: bytes) -> None:
    for start in range(0, len(blob), 16_384):
        ingest.write_at(start, blob[start : start + 16_384])


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_on_a_file_system_that_is_full_the_error_names_it_and_nothing_is_lost(small_disk: Path) -> None:
    root = DataRoot(small_disk / "root")
    root.create()
    root.make_directories()
    blob = os.urandom(1 << 20)
    digest = Digest.of(blob)
    ingest = FileIngestStore(root, boot_id=BOOT).open(digest, len(blob))

    with pytest.raises(StoreFullError, match=str(root.path)):
        write_all(ingest, blob)
    held = ingest.held()
    ingest.close()
    again = FileIngestStore(root, boot_id=BOOT).open(digest, len(blob))

    assert held.total > 100_000
    assert again.held() == held
    again.discard()


def test_a_file_that_may_not_grow_is_an_error_of_the_store(root: DataRoot) -> None:
    script = (
        "import resource, sys; from pathlib import Path; from headway.errors import StoreError;"
        "from headway.store.data_root import DataRoot; from headway.store.content.ingests import FileIngestStore;"
        "from tests.contract.ingest_contract import BLOB, DIGEST;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500));"
        f"ingest = FileIngestStore(DataRoot(Path(sys.argv[1])), boot_id={BOOT!r}).open(DIGEST, len(BLOB))\n"
        "try:\n  [ingest.write_at(start, BLOB[start:start + 1000]) for start in range(0, 5000, 1000)]\n"
        "except StoreError: ingest.close(); sys.exit(7)"
    )

    result = subprocess.run([sys.executable, "-c", script, str(root.path)], check=False)

    assert result.returncode == 7
    assert reopened(root, BOOT) == Ranges([(0, 2500)])


def test_who_wants_a_blob_is_not_kept_out_by_its_discard(root: DataRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(root, 5)
    store = FileIngestStore(root, boot_id=BOOT)
    found: list[Ranges] = []

    def remove(path: Path) -> None:
        ingest = store.open(DIGEST, len(BLOB))
        found.append(ingest.held())
        ingest.write_at(0, BLOB[:10])
        ingest.close()
        remove_tree(path)

    monkeypatch.setattr("headway.store.content.ingests.remove_tree", remove)
    store.discard(DIGEST)

    assert found == [Ranges()]
    assert store.held(DIGEST) == 10
    assert os.listdir(root.tmp) == []


@pytest.mark.parametrize("is_directory", [True, False])
def test_a_discard_takes_whatever_lies_there(root: DataRoot, is_directory: bool) -> None:  # noqa: FBT001
    strange = root.ingest(DIGEST)
    if is_directory:
        (strange / "below").mkdir(parents=True)
        (strange / "below" / "file").touch()
    else:
        strange.touch()

    FileIngestStore(root, boot_id=BOOT).discard(DIGEST)

    assert os.listdir(root.ingests) == []


def test_an_absent_data_root_reads_as_empty(tmp_path: Path) -> None:
    store = FileIngestStore(DataRoot(tmp_path / "absent"), boot_id=BOOT)

    assert store.held(DIGEST) == 0
    assert list(store.walk()) == []


def test_a_data_root_without_its_directories_is_an_error_of_the_store(tmp_path: Path) -> None:
    store = FileIngestStore(DataRoot(tmp_path / "absent"), boot_id=BOOT)

    with pytest.raises(StoreError):
        store.open(DIGEST, len(BLOB))
    with pytest.raises(StoreError):
        store.open(DIGEST, len(BLOB))


def test_an_open_that_finds_no_descriptor_left_keeps_none(root: DataRoot) -> None:
    store = FileIngestStore(root, boot_id=BOOT)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 50, limits[1]))
    held: list[int] = []
    try:
        with suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        os.close(held.pop())

        with pytest.raises(StoreError, match="Too many open files"):
            store.open(DIGEST, len(BLOB))

        held.append(os.open(os.devnull, os.O_RDONLY))
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
