"""What a daemon measures, as Prometheus would fetch it."""

from __future__ import annotations

import re
import socket
import tempfile
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.fakes.daemon import daemon
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.faults.story import CutAfter

IMAGE = images.image([images.noise_layer(2_000_000, seed=1)])


@pytest.fixture(scope="module")
def address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture(scope="module")
def measured(address: str) -> dict[str, float]:
    """The measurements of a daemon that pulled over a link that was cut, then again, and then what is not there."""
    with (
        tempfile.TemporaryDirectory(prefix="hw") as place,
        Registry([IMAGE]) as registry,
        Link(target=registry.address, faults=(CutAfter(500_000),)) as link,
        daemon(Path(place), "--metrics-addr", address) as running,
    ):
        cli = Cli(running.data_root)
        for name in (f"{link.host}/test/image", f"{link.host}/test/image", f"{link.host}/test/image:nope"):
            cli("pull", name)
        pulled = numbers(fetch(address))
        assert IMAGE.size <= pulled["headway_received_bytes_total"] < 1.1 * IMAGE.size
        assert pulled["headway_sent_bytes_total"] == 0
        for words in (("tag", f"{link.host}/test/image"), ("push",)):
            assert cli(*words, f"{registry.host}/other/image:1").returncode == 0
        text = fetch(address)
        check_format(text)
        assert f"metrics    http://{address}/metrics" in running.log.read_text()
        with pytest.raises(HTTPError, match="404"):
            fetch(address, "/other")
        assert running.bugs == []
    return {
        **numbers(text),
        "received by the push": numbers(text)["headway_received_bytes_total"] - pulled["headway_received_bytes_total"],
    }


def test_an_address_without_a_host_is_shown_as_one_that_can_be_fetched() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (
        tempfile.TemporaryDirectory(prefix="hw") as place,
        daemon(Path(place), "--metrics-addr", f":{port}") as running,
    ):
        log = running.log.read_text()

    assert f"metrics    http://0.0.0.0:{port}/metrics\n" in log


def numbers(text: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.splitlines() if line[0] != "#")
    return {name: float(value) for name, _, value in lines}


def fetch(address: str, path: str = "/metrics") -> str:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        text: str = answer.read().decode()
        return text


def check_format(text: str) -> None:
    """Check that each line is one that the format knows, and belongs to the family above it."""
    family = ""
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            family = line.split()[2]
        elif not line.startswith("# HELP "):
            assert re.fullmatch(r'[a-z_]+(_total)?(\{([a-z]+="[^"]*",?)+\})? [0-9.e+-]+', line), line
            assert line.startswith(family), line


def test_pulls_are_counted_by_how_they_ended(measured: dict[str, float]) -> None:
    assert measured['headway_pulls_ended_total{state="complete"}'] == 2
    assert measured['headway_pulls_ended_total{state="failed"}'] == 1
    assert measured['headway_pulls{state="running"}'] == 0


def test_bytes_are_counted_that_came_and_that_did_not_have_to(measured: dict[str, float]) -> None:
    assert 0 < measured["received by the push"] < 10_000
    assert 0.9 * IMAGE.size < measured["headway_sent_bytes_total"] < 1.2 * IMAGE.size
    assert measured["headway_reused_bytes_total"] >= 2_000_000


def test_retries_are_counted_by_cause_and_an_image_that_is_missing_is_none(measured: dict[str, float]) -> None:
    assert [name for name in measured if "retries" in name] == ['headway_retries_total{cause="connection lost"}']
    assert measured['headway_retries_total{cause="connection lost"}'] == 1
    assert measured["headway_stalls_total"] == 0
    assert measured["headway_active_transfers"] == 0


def test_the_store_is_measured_by_kind(measured: dict[str, float]) -> None:
    assert measured['headway_store_bytes{kind="images"}'] >= 2_000_000
    assert measured['headway_store_items{kind="images"}'] == 1


def test_requests_are_timed_by_route(measured: dict[str, float]) -> None:
    assert measured['headway_http_request_seconds_count{method="POST",route="/headway/pulls",status="200"}'] == 3
