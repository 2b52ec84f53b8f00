"""What is read anywhere in: open blobs, on disk and in memory, and what was put aside."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway.errors import NotFoundError, StoreCorruptError, StoreError
from headway.interfaces.content import BlobStore
from headway.oci.digest import Digest
from headway.store.content.blobs import FileBlobStore
from headway.store.content.spool import SpoolFile
from headway.store.data_root import DataRoot
from tests.fakes.memory import MemoryBlobStore


@pytest.fixture(params=["file", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "memory":
        return MemoryBlobStore()
    root = DataRoot(tmp_path)
    root.make_directories()
    return FileBlobStore(root)


def test_what_was_put_aside_is_read_anywhere(tmp_path: Path) -> None:
    spool = SpoolFile(tmp_path)
    spool.write(b"some")
    spool.write(b"thing")

    assert (spool.read_at(0, 9), spool.read_at(2, 4), spool.read_at(9, 0)) == (b"something", b"meth", b"")
    assert list(tmp_path.iterdir()) == []
    spool.close()
    spool.close()


def test_more_than_was_put_aside_cannot_be_read(tmp_path: Path) -> None:
    spool = SpoolFile(tmp_path)
    spool.write(b"some")

    with pytest.raises(StoreCorruptError):
        spool.read_at(2, 3)
    spool.close()


def test_what_cannot_be_put_aside_is_the_disks_fault(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        SpoolFile(tmp_path / "missing")


def test_a_blob_is_read_anywhere(blobs: BlobStore) -> None:
    digest = Digest.of(b"something")
    blobs.put(digest, b"something")

    file = blobs.open(digest)

    assert file.read_at(4, 5) == b"thing"
    file.close()


def test_a_blob_that_is_not_here_cannot_be_opened(blobs: BlobStore) -> None:
    with pytest.raises(NotFoundError):
        blobs.open(Digest.of(b"nothing"))


def test_more_than_a_blob_has_cannot_be_read(blobs: BlobStore) -> None:
    digest = Digest.of(b"something")
    blobs.put(digest, b"something")
    file = blobs.open(digest)

    with pytest.raises(StoreCorruptError):
        file.read_at(4, 6)
    file.close()
