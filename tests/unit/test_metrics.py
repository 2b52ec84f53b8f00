"""Measurements as Prometheus reads them."""

from __future__ import annotations

import pytest

from headway.engine.listeners import parse_metrics_address
from headway.engine.metrics import BUCKETS, Family, RequestTimes, Sample, exposition
from headway.errors import InvalidSettingError


def test_a_family_is_written_as_the_format_wants_it() -> None:
    samples = (Sample(3, {"cause": 'a "b"\\c\nd', "host": "x"}), Sample(0.25), Sample(2.0, suffix="_sum"))

    assert exposition([Family("headway_retries_total", "counter", "By cause.", samples)]) == (
        "# HELP headway_retries_total By cause.\n"
        "# TYPE headway_retries_total counter\n"
        'headway_retries_total{cause="a \\"b\\"\\\\c\\nd",host="x"} 3\n'
        "headway_retries_total 0.25\n"
        "headway_retries_total_sum 2\n"
    )


def test_the_buckets_of_a_histogram_count_everything_up_to_their_bound() -> None:
    times = RequestTimes()
    for seconds in (0.005, 0.0051, 60.0):
        times.took("GET", "/images/{name}/json", 200, seconds)

    lines = exposition([times.family()]).splitlines()
    labels = 'method="GET",route="/images/{name}/json",status="200"'
    counts = [line.rpartition(" ")[2] for line in lines if "_bucket" in line]
    assert counts == ["1", *["2"] * (len(BUCKETS) - 1), "3"]
    assert f'headway_http_request_seconds_bucket{{{labels},le="+Inf"}} 3' in lines
    assert f"headway_http_request_seconds_count{{{labels}}} 3" in lines
    assert f"headway_http_request_seconds_sum{{{labels}}} 60.0101" in lines


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:9323", ("127.0.0.1", 9323)), (":9323", ("", 9323)), ("[::1]:1", ("::1", 1))],
)
def test_an_address_is_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert parse_metrics_address(text) == address


@pytest.mark.parametrize("text", ["9323", "localhost", "localhost:0", "localhost:70000", "localhost:http", ""])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidSettingError, match="invalid metrics-addr"):
        parse_metrics_address(text)
