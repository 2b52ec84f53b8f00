"""The benchmark's arithmetic and text; what it measures is measured, not tested."""

import json

import pytest

from bench.corpus import Debian, Recipe, Wheels
from bench.registry import body_bytes
from bench.report import Caption, document, markdown, ratios_table, sentences, spread_text, table
from bench.samples import COSTS, METRICS, Comparison, Sample, Spread

WALL, WALL_AND_SYNC = METRICS[0], METRICS[1]
CAPTION = Caption("A title", "make bench QUICK=1", {"CPUs": "2"}, {"headway": "headway 1"}, ["A remark."], "a.svg")


def sample(wall_seconds: float, *, cpu_seconds: float = 1.0, sync_seconds: float = 0.0) -> Sample:
    return Sample(
        wall_seconds=wall_seconds,
        cpu_seconds=cpu_seconds,
        peak_rss_bytes=50 << 20,
        written_bytes=100 << 20,
        fetched_bytes=100 << 20,
        sync_seconds=sync_seconds,
    )


def comparison(*pairs: tuple[float, float], twins: tuple[float, float] = (2.0, 2.0)) -> Comparison:
    rounds = [{"headway": sample(ours), "dockerd": sample(theirs)} for ours, theirs in pairs]
    return Comparison("python gzip", rounds, [(sample(twins[0]), sample(twins[1]))])


def test_a_ratio_is_taken_within_each_round_and_not_between_averages() -> None:
    busy_in_the_second_round = comparison((1.0, 3.0), (10.0, 20.0), (2.0, 8.0))

    ratio = busy_in_the_second_round.ratio("dockerd", WALL)

    assert ratio == Spread(2.0, 3.0, 4.0)


def test_the_noise_is_the_ratio_of_two_runs_of_the_same_program() -> None:
    uneven = comparison((1.0, 3.0), twins=(3.0, 2.0))

    noise = uneven.noise(WALL)

    assert noise == Spread(1.5, 1.5, 1.5)


def test_what_a_program_left_in_memory_is_added_to_its_wall_time() -> None:
    lazy = Comparison("x", [{"headway": sample(2.0), "dockerd": sample(3.0, sync_seconds=1.0)}], [])

    ratio = lazy.ratio("dockerd", WALL_AND_SYNC)

    assert ratio.middle == 2.0


def test_programs_keep_the_order_in_which_they_ran_and_peers_leave_out_headway() -> None:
    pulls = comparison((1.0, 3.0))

    assert pulls.programs == ["headway", "dockerd"]
    assert pulls.peers == ["dockerd"]


@pytest.mark.parametrize(
    ("spread", "decimals", "text"),
    [
        (Spread(2.84, 3.13, 3.4), 1, "3.1 [2.8-3.4]"),
        (Spread(2.84, 3.13, 3.4), 2, "3.13 [2.84-3.40]"),
        (Spread(115.8, 116.0, 116.4), 0, "116"),
        (Spread.of([5.0, 1.0, 3.0, 2.0]), 1, "2.5 [1.0-5.0]"),
    ],
)
def test_a_spread_shows_its_ends_unless_they_look_the_same(spread: Spread, decimals: int, text: str) -> None:
    assert spread_text(spread, decimals) == text


def test_the_sentence_to_quote_names_every_cost_with_its_spread() -> None:
    pulls = comparison((1.0, 3.0), (1.0, 2.0), (1.0, 4.0))

    quoted = sentences([pulls])

    assert quoted == [
        "python gzip: dockerd / headway: wall 3.0 [2.0-4.0], wall + sync 3.0 [2.0-4.0], "
        "CPU 1.0, peak RSS 1.0, written 1.0"
    ]


def test_every_image_has_a_row_per_peer_and_one_for_the_noise() -> None:
    pulls = comparison((1.0, 3.0))

    rows = ratios_table([pulls, pulls]).splitlines()[2:]

    assert [row.split("|")[2].strip() for row in rows] == ["dockerd / headway", "A/A headway / headway"] * 2


def test_without_twins_there_is_no_row_for_the_noise_and_none_is_told() -> None:
    alone = Comparison("x", [{"headway": sample(2.0), "dockerd": sample(3.0)}], [])

    rows = ratios_table([alone]).splitlines()[2:]
    data = json.loads(json.dumps(document(CAPTION, [alone])))["comparisons"][0]

    assert [row.split("|")[2].strip() for row in rows] == ["dockerd / headway"]
    assert data["noise"] == {}


def test_a_table_lines_up_without_being_rendered() -> None:
    text = table([["image", "wall"], ["x", "3.1 [2.8-3.4]"]])

    assert text.splitlines() == [
        "| image | wall          |",
        "|-------|---------------|",
        "| x     | 3.1 [2.8-3.4] |",
    ]


def test_the_report_carries_command_machine_versions_and_remarks() -> None:
    text = markdown(CAPTION, [comparison((1.0, 3.0))])

    for needed in ("# A title", "`make bench QUICK=1`", "- CPUs: 2", "- headway 1", "A remark."):
        assert needed in text


def test_the_json_has_every_sample_and_the_ratio_of_every_cost() -> None:
    pulls = comparison((1.0, 3.0), (1.0, 4.0))

    data = json.loads(json.dumps(document(CAPTION, [pulls])))["comparisons"][0]

    assert [each["dockerd"]["wall_seconds"] for each in data["rounds"]] == [3.0, 4.0]
    assert list(data["ratios"]["dockerd"]) == [metric.name for metric in COSTS]
    assert data["ratios"]["dockerd"]["wall"] == {"lowest": 3.0, "middle": 3.5, "highest": 4.0}


def test_the_registry_log_counts_the_bodies_of_gets_alone() -> None:
    log = (
        '127.0.0.1 - - [24/Nov/2026:17:40:00 +0000] "HEAD /v2/x/manifests/gzip HTTP/1.1" 200 743 "" "x/1"\n'
        '127.0.0.1 - - [24/Nov/2026:17:40:00 +0000] "GET /v2/x/manifests/gzip HTTP/1.1" 200 743 "" "x/1"\n'
        'time="2026-11-24T17:40:00Z" level=error msg="response completed" http.response.written=99\n'
        '127.0.0.1 - - [24/Nov/2026:17:40:01 +0000] "GET /v2/x/blobs/sha256:ab HTTP/1.1" 206 1000 "" "x/1"\n'
    )

    assert body_bytes(log) == 1743


def test_another_recipe_has_another_key_and_the_same_recipe_the_same() -> None:
    pinned = Recipe("python", (Debian("bookworm"), Wheels(("six==1.17.0",))))
    same = Recipe("python", (Debian("bookworm"), Wheels(("six==1.17.0",))))
    upgraded = Recipe("python", (Debian("bookworm"), Wheels(("six==1.18.0",))))

    assert pinned.key == same.key
    assert pinned.key != upgraded.key
