"""What a pull would cost, told before, and kept to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.link import Link
from tests.faults.registry import Registry
from tests.faults.story import CutAfter, IgnoreRange, RateLimit, Status
from tests.faults.story import Fault as On

BASE = images.noise_layer(400_000, seed=1)
APP = images.image([BASE, images.noise_layer(200_000, seed=2)])
OTHER = images.image([BASE, images.noise_layer(100_000, seed=3)])
BASE_BYTES = len(APP.blobs[APP.layers[0]])


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry([APP], repository="test/app") as running:
        running.add(OTHER, "test/other")
        yield running


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "root")


def plan(cli: Cli, *names: str) -> dict[str, object]:
    done = cli("pull", "--dry-run", "--format", "json", *names)
    assert done.returncode == 0, done.stderr
    document: dict[str, object] = json.loads(done.stdout)
    return document


def total(document: dict[str, object], what: str) -> int:
    totals = document["total"]
    assert isinstance(totals, dict)
    return int(totals[what])


def test_a_dry_run_asks_for_tag_manifest_and_config_and_the_pull_only_for_the_tag(cli: Cli, registry: Registry) -> None:
    name = f"{registry.host}/test/app"
    document = plan(cli, name)
    asked = [(each.method, each.kind) for each in registry.log]
    registry.log.clear()
    pulled = cli("pull", name)

    assert asked == [("HEAD", "manifest"), ("GET", "manifest"), ("GET", "blob")]
    assert total(document, "to_fetch") == APP.size
    assert pulled.returncode == 0, pulled.stderr
    assert [(each.method, each.kind) for each in registry.log if each.kind != "blob"] == [("HEAD", "manifest")]
    assert total(document, "crossing") == pytest.approx(registry.sent(), rel=0.01)


def test_how_long_it_will_take_is_told_from_the_last_rate_seen(cli: Cli) -> None:
    first, second = (images.image([images.noise_layer(300_000, seed=seed)], tag=str(seed)) for seed in (1, 2))
    with Registry([first, second]) as registry, Link(target=registry.address, faults=(RateLimit(150_000),)) as link:
        names = [f"{link.host}/test/image:{tag}" for tag in "12"]
        before = cli("pull", "--dry-run", names[0])
        assert cli("pull", names[0]).returncode == 0
        after = cli("pull", "--dry-run", names[1])
        told = plan(cli, names[1])["items"][0]  # type: ignore[index]  # from JSON

    assert "rate" not in before.stdout
    assert re.search(r"about [23] s at \d\.?\d* Mbit/s \(the last rate seen\)", after.stdout)
    assert told["bytes_per_second"] == pytest.approx(150_000, rel=0.4)
    assert told["seconds"] == pytest.approx(2, rel=0.5)


def test_what_images_share_is_counted_once(cli: Cli, registry: Registry) -> None:
    first, second = f"{registry.host}/test/app", f"{registry.host}/test/other"
    done = cli("pull", "--dry-run", first, second)
    document = plan(cli, first, second)

    assert f"comes with {first}:latest" in done.stdout
    assert "2 images together" in done.stdout
    assert total(document, "to_fetch") == APP.size + OTHER.size - BASE_BYTES


def test_a_layer_that_several_blobs_hold_is_counted_once(cli: Cli, tmp_path: Path) -> None:
    packed = images.image([BASE], tag="gzip"), images.image([BASE], tag="zstd", compression="zstd")
    both = images.image([BASE, BASE], blobs=[image.blobs[image.layers[0]] for image in packed])
    with Registry([*packed, both]) as registry:
        names = [f"{registry.host}/test/image:{tag}" for tag in ("gzip", "zstd", "latest")]
        told = total(plan(cli, names[2]), "crossing")
        registry.log.clear()
        pulled = cli("pull", "--format", "json", names[2])
        crossed = registry.sent()
        together = total(plan(Cli(tmp_path / "other"), *names), "to_fetch")

    receipt = json.loads(pulled.stdout)["items"][0]["receipt"]
    assert told == pytest.approx(crossed, rel=0.01)
    assert receipt["received"] == pytest.approx(receipt["needed"], rel=0.01)
    assert together == pytest.approx(BASE_BYTES, rel=0.01)


def test_what_is_here_and_what_is_unfinished_is_not_counted(cli: Cli, registry: Registry) -> None:
    first, second = f"{registry.host}/test/app", f"{registry.host}/test/other"
    assert cli("pull", second).returncode == 0
    done = cli("pull", "--dry-run", first)

    assert f"in {second}:latest" in done.stdout
    assert total(plan(cli, first), "to_fetch") == APP.size - BASE_BYTES
    assert total(plan(cli, second), "to_fetch") == 0


def test_an_unfinished_download_counts_for_what_it_holds(cli: Cli) -> None:
    image = images.image([BASE])
    cut = On(CutAfter(200_000), kind="blob", digest=image.layers[0], nth=1)
    away = On(Status(503), kind="blob", digest=image.layers[0], nth=range(2, 99))
    with Registry([image], faults=[cut, away]) as registry:
        name = f"{registry.host}/test/image"
        cli("pull", "--max-download-attempts", "1", name)
        done = cli("pull", "--dry-run", name)
        left = total(plan(cli, name), "to_fetch")

    assert "unfinished since" in done.stdout
    assert 0 < left < BASE_BYTES


def test_a_fast_link_brings_hardly_more_than_a_budget(tmp_path: Path) -> None:
    image = images.image([images.noise_layer(40_000_000, seed=6)])
    faults = [On(IgnoreRange(), kind="blob"), On(CutAfter(30_000_000), kind="blob", digest=image.layers[0], nth=1)]
    with Registry([image], faults=faults) as registry, Link(target=registry.address) as link:
        done = Cli(tmp_path / "root")("pull", "--max-bytes", "41M", f"{link.host}/test/image")

        assert done.returncode == 76
        assert link.bytes_down < 47_500_000  # what a socket buffers is 6 MB at the most


def test_what_would_cost_more_than_the_budget_is_not_begun(cli: Cli, registry: Registry) -> None:
    name = f"{registry.host}/test/app"
    refused = cli("pull", "--max-bytes", "500k", name)
    layers = [each for each in registry.log if each.kind == "blob" and each.sent > 10_000]
    allowed = cli("pull", "--max-bytes", "650k", name)

    assert (refused.returncode, layers) == (76, [])
    assert refused.stderr.splitlines()[0].startswith("headway: over budget: ")
    assert refused.stderr.splitlines()[-1].startswith("next: see what it costs with --dry-run")
    assert allowed.returncode == 0, allowed.stderr


def test_a_refusal_counts_what_the_question_has_cost(cli: Cli, registry: Registry) -> None:
    refused = cli("pull", "--max-bytes", str(APP.size + 2000), f"{registry.host}/test/app")

    words = r"over budget: ([0-9,]+) more bytes would have to cross beside the ([0-9,]+) that have, and the budget is "
    found = re.search(words, refused.stderr)
    assert found is not None, refused.stderr
    crossing, spent = (int(each.replace(",", "")) for each in found.groups())
    assert crossing + spent > APP.size + 2000
    assert refused.returncode == 76


def test_a_dry_run_of_what_is_not_there_says_so_and_plans_the_others(cli: Cli, registry: Registry) -> None:
    done = cli("pull", "--dry-run", f"{registry.host}/test/none", f"{registry.host}/test/app")

    assert done.returncode == 1
    assert "test/none" in done.stderr
    assert "to fetch" in done.stdout
