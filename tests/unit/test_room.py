"""Whether an image fits: sums, orders and verdicts."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.distribution.room import (
    LEAST_RATIO,
    USUAL_RATIO,
    Experience,
    Fit,
    Forecast,
    Incoming,
    Space,
    fit,
    forecast,
    least_peak,
)

NOTHING = Experience()
MB = 1_000_000


def test_nothing_to_come_needs_nothing() -> None:
    needs = forecast([], NOTHING, at_once=3)

    assert (needs.to_fetch, needs.least, needs.likely, needs.unpacked, needs.least_inodes) == (0, 0, 0, 0, 0)


def test_one_layer_lies_there_as_blob_and_as_tree() -> None:
    needs = forecast([Incoming(100 * MB)], NOTHING, at_once=3)

    assert needs.to_fetch == 100 * MB
    assert needs.least == 100 * MB + LEAST_RATIO * 100 * MB
    assert needs.likely == 100 * MB + USUAL_RATIO * 100 * MB
    assert needs.basis == "3.0 x compressed, as usual images"


def test_what_is_held_takes_no_more_room() -> None:
    needs = forecast([Incoming(100 * MB, held=60 * MB)], NOTHING, at_once=3)

    assert needs.to_fetch == 40 * MB
    assert needs.least == 40 * MB + LEAST_RATIO * 100 * MB
    assert needs.likely == 40 * MB + USUAL_RATIO * 100 * MB


def test_the_blob_of_a_committed_layer_counts_no_more() -> None:
    needs = forecast([Incoming(100 * MB)] * 10, NOTHING, at_once=3)

    assert needs.least == 10 * LEAST_RATIO * 100 * MB + 100 * MB
    assert needs.likely == 10 * USUAL_RATIO * 100 * MB + 3 * 100 * MB


def test_layers_that_are_here_say_what_others_come_to() -> None:
    shown = Experience(layers=2, compressed=10 * MB, unpacked=25 * MB, entries=1_000)

    needs = forecast([Incoming(4 * MB), Incoming(2 * MB, is_compressed=False)], shown, at_once=1)

    assert needs.unpacked == 12 * MB
    assert needs.likely_inodes == 400 + 200 + 8
    assert needs.basis == "2.5 x compressed, as the 2 layers here"


def test_a_few_bytes_here_say_nothing() -> None:
    needs = forecast([Incoming(MB)], Experience(layers=1, compressed=100, unpacked=90_000), at_once=1)

    assert needs.unpacked == USUAL_RATIO * MB


SMALL = st.integers(0, 20)
LAYERS = st.lists(st.tuples(SMALL, SMALL, SMALL).map(lambda t: (t[0], min(t[0], t[1]), t[2])), max_size=5)


@given(LAYERS)
def test_no_order_needs_less(layers: list[tuple[int, int, int]]) -> None:
    def peak(order: tuple[tuple[int, int, int], ...]) -> int:
        used = highest = 0
        for size, held, unpacked in order:
            highest = max(highest, used + size - held + unpacked)
            used += unpacked - held
        return highest

    assert least_peak(layers) == min(peak(order) for order in permutations(layers))


def needs(**values: int) -> Forecast:
    zeros = dict.fromkeys(("to_fetch", "least", "likely", "unpacked", "least_inodes", "likely_inodes"), 0)
    return Forecast(basis="", **(zeros | values))


@pytest.mark.parametrize(
    ("forecast", "space", "verdict"),
    [
        (needs(least=10, likely=20), Space(20), Fit.LIKELY),
        (needs(least=10, likely=20), Space(19), Fit.DOUBTFUL),
        (needs(least=10, likely=20), Space(10), Fit.DOUBTFUL),
        (needs(least=10, likely=20), Space(9), Fit.IMPOSSIBLE),
        (needs(least_inodes=4, likely_inodes=9), Space(0, 9), Fit.LIKELY),
        (needs(least_inodes=4, likely_inodes=9), Space(0, 8), Fit.DOUBTFUL),
        (needs(least_inodes=4, likely_inodes=9), Space(0, 3), Fit.IMPOSSIBLE),
        (needs(least_inodes=4, likely_inodes=9), Space(0, None), Fit.LIKELY),
    ],
)
def test_the_verdict_holds_both_against_what_is_free(forecast: Forecast, space: Space, verdict: Fit) -> None:
    assert fit(forecast, space) is verdict
