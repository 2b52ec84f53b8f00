"""Committed blobs: the contract, and what only a disk can do to them."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from headway.errors import NotFoundError, StoreCorruptError, StoreError, StoreFullError
from headway.interfaces.content import BlobStore
from headway.oci.digest import Digest
from headway.store.content.blobs import FileBlobStore
from headway.store.data_root import DataRoot
from tests.contract.blob_contract import CONFIG, BlobContract
from tests.fakes.memory import MemoryBlobStore

DIGEST = Digest.of(CONFIG)


@pytest.fixture
def root(tmp_path: Path) -> DataRoot:
    root = DataRoot(tmp_path)
    root.make_directories()
    return root


class TestFileBlobs(BlobContract):
    @pytest.fixture
    def subject(self, root: DataRoot) -> BlobStore:
        return FileBlobStore(root)


class TestMemoryBlobs(BlobContract):
    @pytest.fixture
    def subject(self) -> BlobStore:
        return MemoryBlobStore()


def test_a_rotten_blob_is_found_when_read(root: DataRoot) -> None:
    store = FileBlobStore(root)
    store.put(DIGEST, CONFIG)
    root.blob(DIGEST).write_bytes(CONFIG.replace(b"arm", b"ARM"))

    with pytest.raises(StoreCorruptError, match=DIGEST.hex):
        store.read(DIGEST)
    with pytest.raises(StoreCorruptError, match=DIGEST.hex):
        list(store.pieces(DIGEST))


def test_a_rotten_blob_does_not_keep_a_good_one_out(root: DataRoot) -> None:
    store = FileBlobStore(root)
    root.blob(DIGEST).write_bytes(b"")

    store.put(DIGEST, CONFIG)

    assert store.read(DIGEST) == CONFIG


def test_a_directory_in_the_place_of_a_blob_does_not_keep_it_out(root: DataRoot) -> None:
    store = FileBlobStore(root)
    (root.blob(DIGEST) / "inside").mkdir(parents=True)

    store.put(DIGEST, CONFIG)

    assert (store.read(DIGEST), os.listdir(root.tmp)) == (CONFIG, [])


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "directory", "link to itself"])
def test_what_is_no_file_is_damaged_and_blocks_nobody(
    root: DataRoot, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, path = FileBlobStore(root), root.blob(DIGEST)
    monkeypatch.chdir(path.parent)  # a socket's name may be no longer than 107 bytes
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(path.name)
        case "device":
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
        case "directory":
            path.mkdir()
        case _:
            path.symlink_to(path.name)

    size = store.size(DIGEST)
    readers: list[Callable[[Digest], object]] = [store.read, lambda digest: list(store.pieces(digest)), store.open]
    for reading in readers:
        with pytest.raises(StoreCorruptError):
            reading(DIGEST)
    store.put(DIGEST, CONFIG)

    assert (size, store.read(DIGEST)) == (None, CONFIG)


def test_a_disk_that_cannot_be_looked_at_does_not_say_that_a_blob_is_absent(root: DataRoot) -> None:
    root.blob(DIGEST).parent.rmdir()
    root.blob(DIGEST).parent.touch()

    with pytest.raises(StoreError):
        FileBlobStore(root).size(DIGEST)


def test_files_that_are_no_blobs_are_not_listed(root: DataRoot) -> None:
    (root.blobs / "sha256" / "notes.txt").write_text("not ours")

    listed = list(FileBlobStore(root).walk())

    assert listed == []


def test_an_absent_data_root_reads_as_empty(tmp_path: Path) -> None:
    store = FileBlobStore(DataRoot(tmp_path / "absent"))

    assert (store.size(DIGEST), list(store.walk())) == (None, [])
    with pytest.raises(NotFoundError):
        store.read(DIGEST)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_on_a_full_disk_nothing_half_made_is_left(small_disk: Path) -> None:
    root = DataRoot(small_disk)
    root.make_directories()
    blob = os.urandom(1 << 20)

    with pytest.raises(StoreFullError):
        FileBlobStore(root).put(Digest.of(blob), blob)

    assert (list(FileBlobStore(root).walk()), os.listdir(root.tmp)) == ([], [])
