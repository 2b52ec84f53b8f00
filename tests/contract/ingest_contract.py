"""What every `IngestStore` does."""

from __future__ import annotations

from threading import Thread

import pytest

from headway.distribution.ranges import Ranges
from headway.errors import ConflictError, StoreError
from headway.interfaces.content import BlobStore, Ingest, IngestStore
from headway.oci.digest import Digest

BLOB = bytes(range(256)) * 300
DIGEST = Digest.of(BLOB)


def follow(ingest: Ingest, limit: int = 1 << 20) -> tuple[Thread, list[bytes]]:
    """Read an ingest to its end in a thread; ``stopped`` is the last piece where that was interrupted."""
    follower = ingest.follow()
    pieces: list[bytes] = []

    def read() -> None:
        try:
            while piece := follower.read(limit):
                pieces.append(piece)
        except InterruptedError:
            pieces.append(b"stopped")

    thread = Thread(target=read)
    thread.start()
    return thread, pieces


class IngestContract:
    """Give `subject`, an `IngestStore`, and `blobs`, where its commits go."""

    def test_a_new_ingest_holds_nothing(self, subject: IngestStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))

        held = ingest.held()

        assert held == Ranges()
        assert (ingest.digest, ingest.size) == (DIGEST, len(BLOB))
        ingest.close()

    def test_pieces_arrive_in_any_order_and_are_counted_once(self, subject: IngestStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))

        fresh = [
            ingest.write_at(start, BLOB[start:end])
            for start, end in [(100, 200), (0, 50), (150, 300), (0, 50), (10, 10)]
        ]

        assert fresh == [100, 50, 100, 0, 0]
        assert ingest.held() == Ranges([(0, 50), (100, 300)])
        ingest.close()

    def test_what_was_wrong_is_replaced_where_it_lies(self, subject: IngestStore, blobs: BlobStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        ingest.write_at(0, BLOB[:100] + b"?" * 50 + BLOB[150:])

        before = ingest.read_at(90, 20)
        ingest.write_at(100, BLOB[100:150])

        assert before == BLOB[90:100] + b"?" * 10
        assert ingest.read_at(0, len(BLOB)) == BLOB
        assert ingest.held().total == len(BLOB)
        ingest.close()

    def test_what_is_held_is_given_as_a_copy(self, subject: IngestStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))

        ingest.held().add(0, 10)

        assert ingest.held().total == 0
        ingest.close()

    @pytest.mark.parametrize("size", [1, 4096, 70_001])
    @pytest.mark.parametrize("percent", [0, 10, 50, 90, 100])
    def test_a_resume_goes_on_where_it_stopped(
        self, subject: IngestStore, blobs: BlobStore, size: int, percent: int
    ) -> None:
        blob = BLOB[:size]
        digest = Digest.of(blob)
        stopped = size * percent // 100
        first = subject.open(digest, size)
        first.write_at(0, blob[:stopped])
        first.close()

        held = subject.held(digest)
        second = subject.open(digest, size)
        resumed = second.held()
        second.write_at(stopped, blob[stopped:])
        second.commit()

        assert held == stopped
        assert resumed == Ranges([(0, stopped)])
        assert blobs.read(digest) == blob

    def test_an_ingest_of_another_size_starts_empty(self, subject: IngestStore) -> None:
        first = subject.open(DIGEST, len(BLOB))
        first.write_at(0, BLOB[:1000])
        first.close()

        second = subject.open(DIGEST, len(BLOB) - 1)

        assert second.held() == Ranges()
        second.close()

    def test_one_digest_is_open_once(self, subject: IngestStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))

        with pytest.raises(ConflictError):
            subject.open(DIGEST, len(BLOB))
        with pytest.raises(ConflictError):
            subject.discard(DIGEST)

        ingest.close()
        subject.open(DIGEST, len(BLOB)).close()

    def test_bytes_outside_the_blob_are_refused(self, subject: IngestStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))

        with pytest.raises(StoreError):
            ingest.write_at(len(BLOB) - 1, b"xx")
        with pytest.raises(StoreError):
            ingest.write_at(-1, b"x")

        assert ingest.held() == Ranges()
        ingest.close()

    def test_a_suspect_ingest_holds_nothing_and_takes_the_pieces_again(
        self, subject: IngestStore, blobs: BlobStore
    ) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        ingest.write_at(0, b"\0" * len(BLOB))

        ingest.suspect()
        held = ingest.held()
        fresh = ingest.write_at(0, BLOB)
        ingest.commit()

        assert (held, fresh) == (Ranges(), len(BLOB))
        assert blobs.read(DIGEST) == BLOB

    def test_what_was_suspect_is_not_held_after_a_reopen(self, subject: IngestStore) -> None:
        first = subject.open(DIGEST, len(BLOB))
        first.write_at(0, b"\0" * len(BLOB))
        first.suspect()
        first.write_at(5, BLOB[5:10])
        first.close()

        second = subject.open(DIGEST, len(BLOB))

        assert second.held() == Ranges([(5, 10)])
        second.close()

    def test_a_commit_lacks_no_byte(self, subject: IngestStore, blobs: BlobStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        ingest.write_at(1, BLOB[1:])

        with pytest.raises(StoreError):
            ingest.commit()

        assert blobs.size(DIGEST) is None
        ingest.write_at(0, BLOB[:1])
        ingest.commit()
        assert blobs.size(DIGEST) == len(BLOB)

    def test_a_commit_publishes_the_blob_and_the_ingest_is_gone(self, subject: IngestStore, blobs: BlobStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        ingest.write_at(0, BLOB)

        ingest.commit()
        ingest.close()

        assert blobs.read(DIGEST) == BLOB
        assert subject.held(DIGEST) == 0
        assert list(subject.walk()) == []

    def test_an_empty_blob_can_be_committed(self, subject: IngestStore, blobs: BlobStore) -> None:
        digest = Digest.of(b"")

        subject.open(digest, 0).commit()

        assert blobs.read(digest) == b""

    def test_a_sha512_blob_can_be_committed(self, subject: IngestStore, blobs: BlobStore) -> None:
        digest = Digest.of(b"x", "sha512")
        ingest = subject.open(digest, 1)
        ingest.write_at(0, b"x")

        ingest.commit()

        assert blobs.read(digest) == b"x"

    def test_a_discarded_ingest_is_gone(self, subject: IngestStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        ingest.write_at(0, BLOB[:10])

        ingest.discard()

        assert subject.held(DIGEST) == 0
        assert list(subject.walk()) == []

    def test_one_that_is_not_open_can_be_discarded(self, subject: IngestStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        ingest.write_at(0, BLOB[:10])
        ingest.close()

        subject.discard(DIGEST)
        subject.discard(Digest.of(b"never seen"))

        assert list(subject.walk()) == []

    def test_one_that_holds_nothing_leaves_nothing(self, subject: IngestStore) -> None:
        subject.open(DIGEST, len(BLOB)).close()

        assert list(subject.walk()) == []

    def test_a_closed_ingest_takes_nothing(self, subject: IngestStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        ingest.write_at(0, BLOB[:10])
        ingest.close()

        with pytest.raises(StoreError):
            ingest.write_at(10, BLOB[10:20])

        assert subject.held(DIGEST) == 10

    def test_unfinished_blobs_are_listed_with_what_they_hold(self, subject: IngestStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        ingest.write_at(0, BLOB[:10])
        ingest.write_at(20, BLOB[20:30])

        [(digest, held, written)] = subject.walk()

        assert (digest, held) == (DIGEST, 20)
        assert written > 0
        assert subject.held(DIGEST) == 20
        ingest.close()

    def test_a_sync_leaves_nothing_to_a_power_cut(self, subject: IngestStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        ingest.write_at(0, BLOB[:10])
        ingest.write_at(10, BLOB[10:30])

        before = ingest.unsynced()
        ingest.sync()

        assert (before, ingest.unsynced()) == (30, 0)
        ingest.close()

    def test_what_was_never_synced_may_go_early(self, subject: IngestStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        ingest.write_at(0, BLOB)

        is_gone = ingest.discard_unless_synced()
        ingest.sync()
        ingest.close()

        assert is_gone
        assert subject.held(DIGEST) == 0

    @pytest.mark.parametrize("promise", ["sync", "close"])
    def test_what_was_promised_to_survive_a_power_cut_stays(self, subject: IngestStore, promise: str) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        ingest.write_at(0, BLOB[:10])
        getattr(ingest, promise)()
        ingest.close()
        ingest = subject.open(DIGEST, len(BLOB))
        ingest.write_at(10, BLOB[10:])

        is_gone = ingest.discard_unless_synced()
        ingest.close()

        assert not is_gone
        assert subject.held(DIGEST) == len(BLOB)

    def test_a_follower_reads_in_order_what_arrives_in_any(self, subject: IngestStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        thread, pieces = follow(ingest, limit=1000)

        for start in (40_000, 0, 20_000, 60_000):
            ingest.write_at(start, BLOB[start : start + 20_000])
        thread.join()

        assert b"".join(pieces) == BLOB
        assert max(map(len, pieces)) <= 1000
        ingest.close()

    def test_a_follower_tells_how_far_it_has_read(self, subject: IngestStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        ingest.write_at(0, BLOB[:100])
        follower = ingest.follow()

        follower.read(30)
        follower.read(40)

        assert follower.position == 70
        ingest.close()

    def test_a_follower_waits_at_a_gap(self, subject: IngestStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        ingest.write_at(0, BLOB[:10])
        ingest.write_at(20, BLOB[20:])
        follower = ingest.follow()

        first = follower.read(100)
        ready_at_gap = follower.ready()
        ingest.write_at(10, BLOB[10:20])

        assert (first, ready_at_gap, follower.ready()) == (BLOB[:10], False, True)
        assert follower.read(100) == BLOB[10:110]
        ingest.close()

    def test_a_follower_of_a_whole_ingest_ends(self, subject: IngestStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        ingest.write_at(0, BLOB)
        follower = ingest.follow()

        while follower.read(1 << 20):
            pass

        assert follower.ready()
        assert follower.read(1) == b""
        ingest.close()

    @pytest.mark.parametrize("end", ["close", "discard", "suspect"])
    def test_a_waiting_follower_hears_that_nothing_will_come(self, subject: IngestStore, end: str) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        ingest.write_at(0, BLOB[:10])
        thread, pieces = follow(ingest)

        getattr(ingest, end)()
        thread.join()

        assert pieces[-1] == b"stopped"
        ingest.close()

    def test_a_stopped_follower_stays_stopped(self, subject: IngestStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        ingest.write_at(0, BLOB)
        follower = ingest.follow()
        other = ingest.follow()

        follower.stop()

        assert follower.ready()
        with pytest.raises(InterruptedError):
            follower.read(1)
        assert other.read(10) == BLOB[:10]
        ingest.close()

    def test_threads_write_side_by_side_while_others_follow(self, subject: IngestStore, blobs: BlobStore) -> None:
        ingest = subject.open(DIGEST, len(BLOB))
        readers = [follow(ingest, limit=5000) for _ in range(2)]

        def write(first: int) -> None:
            for start in range(first * 512, len(BLOB), 3 * 512):
                ingest.write_at(start, BLOB[start : start + 512])

        writers = [Thread(target=write, args=(first,)) for first in range(3)]
        for thread in writers:
            thread.start()
        for thread in [*writers, *(reader for reader, _ in readers)]:
            thread.join()
        ingest.commit()

        assert [b"".join(pieces) for _, pieces in readers] == [BLOB, BLOB]
        assert blobs.read(DIGEST) == BLOB
