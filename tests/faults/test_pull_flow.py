"""Pulls over a link that cuts, falls silent, trickles or goes away: what crosses it, and how long that takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from headway.errors import PullIncompleteError
from headway.oci.digest import DiffID, Digest
from headway.records import LayerReport
from headway.registry.address import Address
from headway.registry.exchange import Exchange
from headway.registry.transport import Transport
from headway.service.transfers.progress import LayerProgress
from headway.store.content.ingests import FileIngestStore
from headway.store.trees.layers import SqliteLayerStore
from tests.fakes import images
from tests.faults.link import Link
from tests.faults.pull import bytes_kept, images_listed, litter, pull
from tests.faults.registry import Registry
from tests.faults.story import (
    CutAfter,
    CutEvery,
    Fault,
    LinkFault,
    Outage,
    RateLimit,
    ResetEvery,
    SilentAfter,
    SlowResponse,
    StallAfter,
    Status,
    Trickle,
)

IMAGE = images.image([images.noise_layer(1_500_000, seed=1), images.noise_layer(500_000, seed=2)])
LONG = images.image([images.noise_layer(4_000_000, seed=3)])
IN_FLIGHT = 256 * 1024  # what reaches two connections after they were given up
TWINS = images.image([images.noise_layer(400_000, seed=4), images.noise_layer(400_000, seed=4)])


@contextmanager
def linked(*faults: LinkFault, image: images.Image = IMAGE, script: Sequence[Fault] = ()) -> Iterator[tuple[Link, str]]:
    """Give a link to a registry that holds an image, and the image's name over it."""
    with Registry([image], faults=script) as registry, Link(target=registry.address, faults=faults) as link:
        yield link, f"{link.host}/test/image"


@pytest.mark.parametrize(
    ("fault", "ratio"),
    [(CutEvery(128 * 1024), 1.02), (ResetEvery(64 * 1024), 1.02), (CutEvery(32 * 1024), 1.03)],
)
def test_a_link_that_breaks_all_the_time_costs_no_more_than_headers(
    tmp_path: Path, fault: LinkFault, ratio: float
) -> None:
    with linked(fault) as (link, name):
        outcome = pull(name, tmp_path)

        assert outcome.error is None, outcome.said
        assert link.bytes_down <= ratio * IMAGE.size
        assert sum(outcome.retries.values()) >= link.cuts + link.resets - 2
        assert (images_listed(tmp_path), litter(tmp_path)) == ([IMAGE.image_id], [])


def test_a_connection_that_falls_silent_is_dropped_and_resumed(tmp_path: Path) -> None:
    with linked(SilentAfter(700_000)) as (link, name):
        outcome = pull(name, tmp_path)

        assert outcome.error is None, outcome.said
        assert outcome.seconds < 8
        assert outcome.retries == {"connection went silent": 1}
        assert link.bytes_down <= 1.01 * IMAGE.size


def test_a_silence_that_ends_in_time_is_no_failure(tmp_path: Path) -> None:
    with linked(script=[Fault(StallAfter(300_000, seconds=1.0), kind="blob", nth=2)]) as (_, name):
        outcome = pull(name, tmp_path)

        assert outcome.error is None, outcome.said
        assert outcome.retries == {}


def test_a_trickle_after_a_fast_flow_is_dropped_for_a_fast_connection(tmp_path: Path) -> None:
    with linked(RateLimit(2_000_000), Trickle(40_000, after=2_200_000), image=LONG) as (link, name):
        outcome = pull(name, tmp_path, times=20)

        assert outcome.error is None, outcome.said
        assert outcome.retries == {"connection went silent": 1}
        assert outcome.seconds < 10
        assert link.bytes_down <= 1.01 * LONG.size


def test_a_link_that_was_slow_from_the_start_is_left_alone(tmp_path: Path) -> None:
    with linked(RateLimit(300_000), image=TWINS) as (link, name):
        outcome = pull(name, tmp_path, times=20)

        assert outcome.error is None, outcome.said
        assert outcome.retries == {}
        assert link.bytes_down <= 1.01 * len(TWINS.blobs[TWINS.layers[0]])


@pytest.mark.parametrize("how", ["refuse", "reset", "drop"])
def test_an_outage_in_mid_layer_is_survived_with_default_settings(tmp_path: Path, how: str) -> None:
    with linked(Outage(600_000, 1.0, how)) as (link, name):  # type: ignore[arg-type]  # each is a Refusal
        outcome = pull(name, tmp_path, times=5)

        assert outcome.error is None, outcome.said
        assert link.bytes_down <= 1.01 * IMAGE.size


@pytest.mark.parametrize("how", ["refuse", "drop"])
def test_the_end_of_an_outage_is_noticed_long_before_the_next_attempt_is_due(tmp_path: Path, how: str) -> None:
    # Attempts alone would be made at once, after up to 5 and after up to 15 seconds (those where packets vanish later).
    with linked(Outage(600_000, 6.5, how)) as (link, name):  # type: ignore[arg-type]  # each is a Refusal
        outcome = pull(name, tmp_path)

        assert outcome.error is None, outcome.said
        assert outcome.seconds < 11
        assert link.bytes_down <= 1.01 * IMAGE.size + IN_FLIGHT


def test_looks_in_an_outage_are_no_attempts(tmp_path: Path) -> None:
    with linked(Outage(600_000, 60.0, "refuse")) as (_, name):
        outcome = pull(name, tmp_path, attempts=3, patience_seconds=0, times=2)

        assert "stopped after 3 attempts without a new byte" in outcome.said
        assert outcome.seconds > 1.8  # the third is due after 3.75 to 5 s, by a clock that is twice as fast


def test_attempts_on_a_dead_link_end_with_the_bytes_kept_and_the_rest_comes_later(tmp_path: Path) -> None:
    with linked(Outage(600_000, 60.0, "refuse"), RateLimit(4_000_000)) as (link, name):
        first = pull(name, tmp_path, attempts=3, patience_seconds=0, times=20)
        kept = bytes_kept(tmp_path)
        link.up()
        second = pull(name, tmp_path, attempts=3, patience_seconds=0)

        assert (first.status, second.error) == (75, None)
        cause, keeps, then = first.said.splitlines()
        assert "connection refused; stopped after 3 attempts without a new byte" in cause
        assert keeps.startswith("kept: ")
        assert then.startswith("next: run the same command to go on, or add --wait")
        assert kept > 400_000
        assert link.bytes_down <= 1.01 * IMAGE.size


def test_attempts_and_their_end_are_logged_as_moby_logs_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "headway.service.transfers.blob_transfer")

    with linked(Outage(600_000, 60.0, "refuse"), image=LONG) as (link, name):
        pull(name, tmp_path, attempts=3, patience_seconds=0, times=20)

    *_, before, last = [(each.levelname, each.message) for each in caplog.records]
    assert before == ("INFO", f"Download failed, retrying (2/3): {link.host}: connection refused")
    assert last == ("ERROR", f"Download failed after 3 attempts: {link.host}: connection refused")


def test_patience_outlasts_the_attempts_and_ends_too(tmp_path: Path) -> None:
    with linked(Outage(600_000, 60.0, "refuse")) as (_, name):
        outcome = pull(name, tmp_path, attempts=1, patience_seconds=40, times=20)

        assert outcome.status == 75
        assert outcome.seconds < 8
        waits = [e for e in outcome.events if isinstance(e, LayerProgress) and e.retry_seconds > 0]
        assert max(wait.attempts for wait in waits) >= 2


def test_a_cancel_keeps_what_arrived_and_the_next_pull_asks_for_the_rest_only(tmp_path: Path) -> None:
    def is_under_way(event: object) -> bool:
        return isinstance(event, LayerProgress) and event.held > 300_000

    with linked(RateLimit(2_000_000)) as (link, name):
        pull(name, tmp_path, stop=is_under_way)
        kept = bytes_kept(tmp_path)
        outcome = pull(name, tmp_path)

        assert outcome.done is not None, outcome.said
        assert outcome.done.receipt.here == kept > 300_000
        assert link.bytes_down <= 1.01 * IMAGE.size + 3 * 256 * 1024


def test_a_pull_that_cannot_even_ask_says_what_an_earlier_one_has_brought(tmp_path: Path) -> None:
    def is_under_way(event: object) -> bool:
        return isinstance(event, LayerProgress) and event.held > 300_000

    with linked(RateLimit(2_000_000)) as (link, name):
        pull(name, tmp_path, stop=is_under_way)
        link.down()
        outcome = pull(name, tmp_path, attempts=2, patience_seconds=0, times=20)

    error = outcome.error
    assert isinstance(error, PullIncompleteError)
    assert (error.kept_bytes, error.total_bytes) == (bytes_kept(tmp_path), IMAGE.size)
    assert "; 0 of 2 layers whole; none of it will be fetched again" in outcome.said


def test_a_failed_pull_counts_layers_as_kept_that_are_whole_and_not_committed_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = SqliteLayerStore.commit_tree

    def slowly(store: SqliteLayerStore, diff_id: DiffID, path: Path, report: LayerReport) -> None:
        time.sleep(0.5)
        commit(store, diff_id, path, report)

    monkeypatch.setattr(SqliteLayerStore, "commit_tree", slowly)
    script = [Fault(each, kind="blob", digest=IMAGE.layers[1]) for each in (SlowResponse(2.0), Status(404))]
    with linked(script=script) as (_, name):
        outcome = pull(name, tmp_path)

    assert "; 1 of 2 layers whole; none of it will be fetched again" in outcome.said


def test_what_a_failed_pull_keeps_is_looked_up_beside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    held = FileIngestStore.held

    def noted(store: FileIngestStore, digest: Digest) -> int:
        threads.append(threading.current_thread())
        return held(store, digest)

    monkeypatch.setattr(FileIngestStore, "held", noted)
    with linked(script=[Fault(Status(404), kind="blob", digest=IMAGE.layers[0])]) as (_, name):
        outcome = pull(name, tmp_path)

    assert outcome.status
    assert threading.main_thread() not in threads


def test_an_ingest_of_another_boot_is_believed_where_it_agrees(tmp_path: Path) -> None:
    script = [Fault(CutAfter(600_000), kind="blob", digest=IMAGE.layers[0], nth=1)]
    script += [Fault(Status(404), kind="blob", digest=IMAGE.layers[0], nth=2)]
    with linked(script=script) as (link, name):
        pull(name, tmp_path, boot_id="00000000-0000-4000-8000-000000000001")
        outcome = pull(name, tmp_path, boot_id="00000000-0000-4000-8000-000000000002")

        assert outcome.error is None, outcome.said
        assert link.bytes_down <= 1.01 * IMAGE.size


def test_two_layers_with_one_blob_cross_the_link_once(tmp_path: Path) -> None:
    with linked(image=TWINS) as (link, name):
        outcome = pull(name, tmp_path)

        assert outcome.error is None, outcome.said
        assert link.bytes_down <= 1.02 * len(TWINS.blobs[TWINS.layers[0]])


def test_a_host_that_answered_before_is_waited_for_and_a_stranger_is_not(tmp_path: Path) -> None:
    with linked() as (link, name):
        link.down("refuse")
        stranger = pull(name, tmp_path, times=3)
        link.up()
        pull(name, tmp_path / "known")
        link.down("refuse")
        back = threading.Timer(1.0, link.up)
        back.start()
        began = time.monotonic()
        known = pull(name, tmp_path / "known", times=5)
        waited = time.monotonic() - began
        back.join()

    assert stranger.status == 75
    assert stranger.seconds < 10
    assert "connection refused" in stranger.said
    assert (known.error, waited > 0.9) == (None, True)


def test_a_registry_that_thinks_for_long_is_not_asked_twice(tmp_path: Path) -> None:
    with linked(script=[Fault(SlowResponse(1.5), kind="blob", nth=2)]) as (link, name):
        outcome = pull(name, tmp_path)

        assert outcome.error is None, outcome.said
        assert outcome.retries == {}
        assert link.bytes_down <= 1.01 * IMAGE.size


def test_a_connection_that_comes_back_behind_the_end_is_ended_too() -> None:
    with linked() as (link, _):
        transport = Transport()
        exchange = Exchange(transport, Address("http", "127.0.0.1", link.port), "GET", "/v2/")
        exchange.send()
        while exchange.read():
            pass
        transport.close()

        exchange.close()

        assert transport.idle.take(exchange.address, None) is None
