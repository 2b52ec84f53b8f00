"""A dict that forgets what was set longest ago."""

from __future__ import annotations

from headway.distribution.black_hole import BlackHole
from headway.distribution.health import Health
from headway.distribution.patience import Patience
from headway.distribution.recent import MOST, Recent


def test_what_was_set_longest_ago_is_forgotten_first() -> None:
    recent = Recent({"a": 1, "b": 2}, most=3)
    recent["a"] = 3
    recent["c"] = 4
    recent["d"] = 5

    assert list(recent.items()) == [("a", 3), ("c", 4), ("d", 5)]


def test_it_begins_with_the_latest_of_what_is_known() -> None:
    assert dict(Recent(dict.fromkeys(range(10), ""), most=2)) == {8: "", 9: ""}


def test_nothing_that_is_kept_by_host_grows_without_end() -> None:
    patience, black_hole, health = Patience(), BlackHole(), Health()

    for number in range(MOST + 10):
        host = f"host-{number}"
        patience.too_short(host, "connect")
        black_hole.swallowed(host)
        health.failed(host, "blob", now=0.0)

    assert patience.seconds("host-0", "connect") < patience.seconds(host, "connect")
    assert not health.is_sick("host-0", "blob", now=0.0)
    assert health.is_sick(host, "blob", now=0.0)
