"""What every `PullStore` does."""

from __future__ import annotations

import pytest

from headway.distribution.pull_states import PullState
from headway.errors import ConflictError, NotFoundError
from headway.interfaces.pulls import PullCost, PullRecord, PullStore, Wish
from headway.oci.digest import Digest, ImageID

HISTORY = 3


def record(number: int, state: PullState = PullState.QUEUED, **more: object) -> PullRecord:
    wish = Wish(reference=f"ghcr.io/acme/edge:{number}", platform="linux/arm64", detached=True, priority=10)
    values = {"pull_id": f"{number:012x}", "wish": wish, "state": state, "created": 1_000.0 + number, "changed": 1.0}
    return PullRecord(**values | more)  # type: ignore[arg-type]  # as above


class PullStoreContract:
    """Give `subject`, an empty `PullStore` that keeps `HISTORY` ended pulls."""

    def test_there_are_none_at_first(self, subject: PullStore) -> None:
        assert subject.list() == []

    def test_a_record_comes_back_as_it_was(self, subject: PullStore) -> None:
        told = record(
            1,
            PullState.COMPLETE,
            had_login=True,
            reason="ö",
            held=7,
            size=9,
            digest=Digest.of(b"m"),
            image_id=ImageID(Digest.of(b"c")),
            cost=PullCost(sources={"ghcr.io": 8}, retries={"cut": 1}, seconds={PullState.RUNNING: 1.5}),
            needed=9,
        )
        subject.put(told)

        assert subject.get(told.pull_id) == told
        assert subject.list() == [told]

    def test_a_record_is_replaced(self, subject: PullStore) -> None:
        subject.put(record(1))
        subject.put(record(1, PullState.PAUSED))

        assert subject.list() == [record(1, PullState.PAUSED)]

    def test_the_newest_come_first(self, subject: PullStore) -> None:
        for number in (2, 1, 3):
            subject.put(record(number))

        assert [each.created for each in subject.list()] == [1_003.0, 1_002.0, 1_001.0]

    def test_the_beginning_of_an_id_is_enough_where_only_one_begins_so(self, subject: PullStore) -> None:
        for number in (0xABC << 36, 0xABD << 36):
            subject.put(record(number))

        assert subject.get("abc") == record(0xABC << 36)
        with pytest.raises(ConflictError, match="several pulls have IDs that begin with ab"):
            subject.get("ab")

    @pytest.mark.parametrize("prefix", ["", "x", "%", "_" * 12])
    def test_what_begins_no_id_is_not_found(self, subject: PullStore, prefix: str) -> None:
        subject.put(record(1))

        with pytest.raises(NotFoundError):
            subject.get(prefix)

    def test_the_oldest_ended_ones_go_and_what_has_not_ended_stays(self, subject: PullStore) -> None:
        subject.put(record(1, PullState.PAUSED))
        for number in range(2, HISTORY + 4):
            subject.put(record(number, PullState.FAILED))

        assert [each.created - 1_000 for each in subject.list()] == [6, 5, 4, 1]

    def test_one_that_has_just_ended_stays_though_the_clock_was_wrong_when_it_began(self, subject: PullStore) -> None:
        for number in range(2, HISTORY + 2):
            subject.put(record(number, PullState.FAILED))
        subject.put(record(1, PullState.COMPLETE))

        assert [each.created - 1_000 for each in subject.list()] == [4, 3, 1]
