"""How many connections are used at once, on virtual time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headway.distribution.streams import (
    EVIDENCE_BYTES,
    MAX_STREAMS,
    THIN_BYTES_PER_SECOND,
    TRIAL_SECONDS,
    HostStreams,
    Streams,
)

MB = 1e6
FAR = 10**12
STEP_SECONDS = 0.25

Rate = Callable[[int], float]


class Host:
    """The streams of one blob to one registry.

    Args:
        rate: What so many streams bring together, in bytes per second.
        flowing: How many flow where so many are open.
    """

    def __init__(self, rate: Rate, *, flowing: Callable[[int], int] = lambda opened: opened) -> None:
        self.streams = HostStreams()
        self.rate = rate
        self.flowing = flowing
        self.thin = False
        self.left = FAR
        self.now = 0.0
        self.seen: list[int] = []

    def live(self, seconds: float) -> int:
        """Use as many as it says for some time; return how many that are in the end."""
        for _ in range(round(seconds / STEP_SECONDS)):
            opened = self.streams.share(1)
            flowing = self.flowing(opened)
            self.now += STEP_SECONDS
            self.streams.report(
                1,
                open_streams=opened,
                flowing=flowing,
                waited_seconds=0.05,
                received=round(self.rate(flowing) * STEP_SECONDS),
                left=self.left,
                thin=self.thin,
                now=self.now,
            )
            self.seen.append(opened)
        return self.streams.share(1)


def capped(each: float, total: float = FAR) -> Rate:
    """Return what streams bring where each is capped, and the link too."""
    return lambda count: min(count * each, total)


def test_where_each_connection_is_capped_all_that_may_be_are_used_within_seconds() -> None:
    assert Host(capped(2 * MB)).live(8) == MAX_STREAMS


def test_no_more_are_used_than_bring_something() -> None:
    host = Host(capped(2 * MB, total=8 * MB))

    assert host.live(30) == 4
    assert max(host.seen) == MAX_STREAMS


def test_where_one_fills_the_link_two_trials_are_made_and_no_more() -> None:
    host = Host(capped(FAR, total=2 * MB))

    assert host.live(60) == 1
    assert host.seen.count(2) <= 2 * TRIAL_SECONDS / STEP_SECONDS
    ended = len(host.seen) - host.seen[::-1].index(2)
    host.live(600)
    assert set(host.seen[ended:]) == {1}


def test_when_the_flow_falls_clearly_another_trial_is_made() -> None:
    host = Host(capped(FAR, total=2 * MB))
    host.live(60)

    host.rate = capped(0.5 * MB)

    assert host.live(30) > 1


def test_a_trial_whose_connections_never_flow_ends_by_itself() -> None:
    host = Host(capped(2 * MB), flowing=lambda opened: min(opened, 4))

    host.live(10 + TRIAL_SECONDS)

    assert host.live(5) == 4


@pytest.mark.parametrize(("rate", "left"), [(100 * MB, FAR), (2 * MB, 4_000_000), (1000.0, FAR)])
def test_no_trial_is_made_where_it_would_not_pay(rate: float, left: int) -> None:
    host = Host(capped(rate))
    host.left = left

    assert host.live(60) == 1
    assert set(host.seen) == {1}


def test_a_slow_start_is_waited_for_before_it_is_judged() -> None:
    host = Host(capped(FAR))
    growth = iter(1.3**step * 1e5 for step in range(10_000))
    host.rate = lambda _: next(growth)

    host.live(4)

    assert set(host.seen) == {1}


def test_when_the_link_turns_thin_one_is_left() -> None:
    host = Host(capped(2 * MB))
    assert host.live(8) == MAX_STREAMS

    host.thin = True
    host.rate = capped(FAR, total=THIN_BYTES_PER_SECOND / 2)

    host.live(0.5)
    assert host.live(60) == 1


def test_one_slow_server_of_several_is_not_taken_for_a_thin_link() -> None:
    host = Host(lambda count: 20_000 + (count - 1) * 2 * MB)
    host.thin = True

    assert host.live(10) > 1


def test_a_trial_that_met_a_slow_server_is_made_again() -> None:
    host = Host(capped(FAR, total=2 * MB))
    while host.live(STEP_SECONDS) == 1:
        pass
    while host.live(STEP_SECONDS) == 2:
        pass

    host.rate = capped(2 * MB)

    assert host.live(10) > 1


def test_of_a_registry_that_ignores_ranges_each_blob_gets_one() -> None:
    host = Host(capped(2 * MB))
    host.live(8)

    host.streams.ignores_ranges = True

    assert host.streams.share(1) == 1


def test_where_connections_break_all_the_time_one_flows_while_another_is_made() -> None:
    host = Host(capped(FAR, total=30_000.0))
    for _ in range(3):
        host.streams.ended(waited_seconds=0.7, flowed_seconds=6.0, broken=True)

    assert host.streams.share(1) == 2


def test_where_they_last_long_that_would_not_pay() -> None:
    host = Host(capped(FAR))
    for _ in range(3):
        host.streams.ended(waited_seconds=0.1, flowed_seconds=6.0, broken=True)

    assert host.streams.share(1) == 1


def test_several_blobs_share_what_one_registry_gets() -> None:
    streams = HostStreams()
    for blob in range(MAX_STREAMS + 1):
        streams.report(
            blob, open_streams=1, flowing=1, waited_seconds=0.0, received=0, left=FAR, thin=False, now=float(blob)
        )

    assert streams.share(0) == 1
    for blob in range(1, MAX_STREAMS + 1):
        streams.gone(blob)
    assert streams.share(0) == 1


# --- the link ---------------------------------------------------------------------------------------------------


def flow(streams: Streams, rate: float, seconds: float, now: float = 0.0) -> float:
    """Let bytes come for some time; return when that ends."""
    streams.report(0, flowing=0, now=now)
    for _ in range(round(seconds / STEP_SECONDS)):
        now += STEP_SECONDS
        streams.report(round(rate * STEP_SECONDS), flowing=1, now=now)
    return now


def test_one_blob_shows_what_the_link_is_before_others_join() -> None:
    streams = Streams()
    before = streams.is_unknown, streams.blobs_at_once

    streams.report(0, flowing=0, now=0.0)
    streams.report(EVIDENCE_BYTES, flowing=1, now=0.01)

    assert before == (True, 1)
    assert not streams.is_unknown
    assert streams.blobs_at_once > 1000


def test_a_blob_too_small_to_show_anything_keeps_nobody_waiting() -> None:
    streams = Streams()

    streams.showed_nothing()

    assert streams.blobs_at_once > 1000


def test_a_thin_link_takes_one_blob_at_a_time() -> None:
    streams = Streams()

    flow(streams, 32_000, 5)

    assert streams.is_thin
    assert streams.blobs_at_once == 1


def test_a_link_that_grows_better_takes_more_once_it_is_clearly_so() -> None:
    streams = Streams()
    now = flow(streams, 32_000, 5)

    now = flow(streams, 1.5 * THIN_BYTES_PER_SECOND, 5, now)
    assert streams.is_thin
    flow(streams, 3 * THIN_BYTES_PER_SECOND, 5, now)

    assert not streams.is_thin


def test_time_in_which_nothing_flows_says_nothing() -> None:
    streams = Streams()
    now = flow(streams, MB, 5)

    for second in range(60):
        streams.report(0, flowing=0, now=now + second)

    assert not streams.is_thin


@pytest.mark.parametrize(("rate", "is_fast"), [(30 * MB, True), (15 * MB, False)])
def test_a_link_is_fast_where_a_second_brings_20_mb(rate: float, *, is_fast: bool) -> None:
    streams = Streams()

    flow(streams, rate, 3)

    assert streams.is_fast is is_fast


def test_what_a_fast_link_has_shown_holds_while_it_is_idle_and_not_once_it_is_slow() -> None:
    streams = Streams()
    now = flow(streams, 200 * MB, 1)

    streams.report(0, flowing=0, now=now + 60)
    after_a_pause = streams.is_fast
    flow(streams, MB, 3, now + 60)

    assert after_a_pause
    assert not streams.is_fast


def test_blobs_that_come_between_two_reports_make_no_link_fast() -> None:
    streams = Streams()
    streams.report(0, flowing=0, now=1000.0)

    for number in range(1, 40):
        streams.report(2 * 10**6, flowing=0, now=1000.0 + number)

    assert not streams.is_fast


def test_the_streams_to_a_registry_are_the_same_for_every_blob() -> None:
    streams = Streams()

    assert streams.to("r.example") is streams.to("r.example")
    assert streams.to("r.example") is not streams.to("s.example")
