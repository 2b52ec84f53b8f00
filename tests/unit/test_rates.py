"""The last rate of a registry, and how times and rates that are only guessed are said."""

from __future__ import annotations

import pytest

from headway.cli.units import about, bit_rate
from headway.distribution.pull_states import PullState
from headway.interfaces.pulls import PullCost, PullRecord, Wish
from headway.service.pulling.last_rate import last_rate

MB = 1_000_000


def pull(
    number: int, received: int, *, receiving: float = 0.0, running: float = 10.0, at: str = "ghcr.io"
) -> PullRecord:
    return PullRecord(
        pull_id=f"{number:012}",
        wish=Wish(reference=f"{at}/acme/edge:1"),
        state=PullState.COMPLETE,
        created=0.0,
        changed=float(number),
        cost=PullCost(sources={at: received}, seconds={PullState.RUNNING: running}, receiving_seconds=receiving),
    )


@pytest.mark.parametrize(
    ("pulls", "rate"),
    [
        ([], None),
        ([pull(1, 8 * MB, receiving=4.0)], 2 * MB),
        ([pull(1, 8 * MB, receiving=4.0), pull(2, 8 * MB, receiving=8.0)], MB),
        ([pull(2, 8 * MB, receiving=4.0), pull(1, 8 * MB, receiving=8.0)], 2 * MB),
        ([pull(1, 8 * MB, receiving=4.0), pull(2, 5_000, receiving=8.0)], 2 * MB),
        ([pull(1, 8 * MB, receiving=4.0), pull(2, MB, receiving=2.0, at="quay.io")], 2 * MB),
        ([pull(1, MB, receiving=0.01, running=0.5)], 2 * MB),
        ([pull(1, MB, running=0.0)], None),
    ],
)
def test_the_newest_pull_that_shows_a_rate_is_believed(pulls: list[PullRecord], rate: float | None) -> None:
    assert last_rate(pulls, "ghcr.io") == rate


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "1 s"), (89, "89 s"), (428, "7 min"), (9_000, "2 h"), (400_000, "5 days")]
)
def test_times_that_are_guessed_are_round(seconds: float, said: str) -> None:
    assert about(seconds) == said


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (10, "80 bit/s"),
        (7_000, "56 kbit/s"),
        (125_000, "1 Mbit/s"),
        (150_000, "1.2 Mbit/s"),
        (124_900_000, "999 Mbit/s"),
    ],
)
def test_rates_are_said_as_links_are_sold(rate: float, said: str) -> None:
    assert bit_rate(rate) == said
