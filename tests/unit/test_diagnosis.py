"""What measurements mean, without measuring."""

from __future__ import annotations

import msgspec
import pytest

from headway.distribution.diagnosis import (
    Level,
    Reached,
    clock_finding,
    disk_finding,
    range_finding,
    rate_finding,
    way_findings,
)
from headway.distribution.room import Space

GOOD = Reached(
    host="ghcr.io",
    addresses=("192.0.2.1", "192.0.2.2"),
    names_seconds=0.038,
    proxy="",
    connect_seconds=0.61,
    tls_version="TLSv1.3",
    tls_seconds=1.3,
    answer_seconds=0.7,
    clock_seconds=-1.0,
    segment_bytes=1448,
    only_small=False,
)


def changed(**fields: object) -> Reached:
    return msgspec.structs.replace(GOOD, **fields)


def texts(reached: Reached) -> list[tuple[str, Level, str]]:
    return [(each.check, each.level, each.text) for each in way_findings(reached)]


def test_a_good_way_is_told_with_its_proof() -> None:
    assert texts(GOOD) == [
        ("DNS", Level.OK, "ghcr.io -> 192.0.2.1 and 1 more in 38 ms"),
        ("connect", Level.OK, "610 ms; TLS 1.3, 1.3 s; answers after 700 ms; proxy: none"),
        ("MTU", Level.OK, "segments of 1,448 bytes pass"),
    ]


def test_an_address_asks_no_name_server_and_a_small_answer_proves_no_packet_size() -> None:
    reached = changed(names_seconds=None, tls_version="", segment_bytes=536)
    assert texts(reached) == [("connect", Level.OK, "610 ms; plain HTTP; answers after 700 ms; proxy: none")]


def test_large_packets_that_vanish_are_a_warning_with_a_way_out() -> None:
    finding = way_findings(changed(only_small=True))[-1]
    assert (finding.check, finding.level) == ("MTU", Level.WARN)
    assert "mtu" in finding.advice


def test_slow_name_servers_and_slow_answers_are_warnings() -> None:
    found = {each.check: each.level for each in way_findings(changed(names_seconds=3.0, answer_seconds=9.0))}
    assert (found["DNS"], found["connect"]) == (Level.WARN, Level.WARN)


@pytest.mark.parametrize(
    ("ahead", "level", "says"),
    [(-1.0, Level.OK, "within 2 s"), (240.0, Level.WARN, "4 m 00 s ahead of"), (-7300.0, Level.WARN, "behind")],
)
def test_a_clock_is_judged_by_the_registrys(ahead: float, level: Level, says: str) -> None:
    finding = clock_finding(changed(clock_seconds=ahead))
    assert finding is not None
    assert finding.level is level
    assert says in finding.text


def test_without_a_date_nothing_is_said_of_the_clock() -> None:
    assert clock_finding(changed(clock_seconds=None)) is None


@pytest.mark.parametrize(
    ("free", "inodes", "driver", "level"),
    [
        (2_100_000_000, None, "overlay2", Level.OK),
        (100_000_000, None, "overlay2", Level.WARN),
        (1000, None, "overlay2", Level.FAIL),
        (2_100_000_000, 0, "overlay2", Level.FAIL),
        (2_100_000_000, 500, "overlay2", Level.WARN),
        (2_100_000_000, None, "", Level.WARN),
    ],
)
def test_a_disk_is_judged_by_what_a_pull_needs(free: int, inodes: int | None, driver: str, level: Level) -> None:
    finding = disk_finding(Space(free, inodes), kind="ext4", driver=driver, why_no_driver="why", held=0, unfinished=0)
    assert finding.level is level
    assert ("why" in finding.text) == (not driver)


def test_overlay_which_takes_no_whiteouts_is_told_before_an_image_fails_on_it() -> None:
    space = Space(10**12, None)
    finding = disk_finding(space, kind="overlay", driver="vfs", why_no_driver="", held=0, unfinished=0)
    assert finding.level is Level.WARN
    assert finding.text.endswith("vfs works; it takes no whiteouts, which most images have")
    assert finding.advice


def test_ranges_that_are_ignored_fail_and_rates_are_told_in_bits() -> None:
    assert range_finding("h", honoured=True).level is Level.OK
    assert range_finding("h", honoured=False).level is Level.FAIL
    assert rate_finding(256_000, 2.0).text == "1.02 Mbit/s (128 kB/s) over 256 kB"
