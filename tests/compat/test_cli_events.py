"""`headway events` as users meet it: without a daemon, and across processes."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import images
from tests.fakes.cli import Cli
from tests.faults.registry import Registry

IMAGE = images.image([{"hello": b"hello\n"}], config={"Labels": {"stage": "test"}})


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with Registry([IMAGE]) as registry:
        yield registry


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "root")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Cli:
    """A store in which an image was pulled, tagged and untagged."""
    cli = Cli(tmp_path_factory.mktemp("told") / "root")
    cli("pull", f"{registry.host}/test/image")
    cli("tag", f"{registry.host}/test/image", "hello:1")
    cli("rmi", "hello:1")
    return cli


def actions(output: str) -> list[str]:
    return [json.loads(line)["Action"] for line in output.splitlines()]


def test_what_happened_is_shown_as_docker_shows_it(told: Cli, registry: Registry) -> None:
    shown = told("events", "--since", "1h", "--until", "0s")

    times = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"
    lines = [
        rf"{times} image pull {registry.host}/test/image:latest \(name={registry.host}/test/image, stage=test\)",
        rf"{times} image tag {IMAGE.image_id} \(name=hello:1, stage=test\)",
        rf"{times} image untag {IMAGE.image_id} \(name={IMAGE.image_id}, stage=test\)",
    ]
    assert (shown.returncode, shown.stderr) == (0, "")
    assert [re.fullmatch(line, said) is not None for line, said in zip(lines, shown.stdout.splitlines(), strict=True)]


def test_a_moment_that_was_shown_can_be_asked_for(told: Cli) -> None:
    first, second, third = told("events", "--since", "1h", "--until", "0s", "--format", "{{.Time}}").stdout.split()

    behind = told("events", "--since", first, "--until", "0s", "--format", "json")
    between = told("events", "--since", "1h", "--until", first, "--format", "json")

    assert (actions(behind.stdout), actions(between.stdout)) == (["tag", "untag"], ["pull"])
    assert first < second < third


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        (["event=tag"], ["tag"]),
        (["event=tag", "event=untag"], ["tag", "untag"]),
        (["image=hello"], ["tag"]),
        (["label=stage=test"], ["pull", "tag", "untag"]),
        (["label=stage=other"], []),
        (["type=container"], []),
    ],
)
def test_filters_are_dockers(told: Cli, filters: list[str], wanted: list[str]) -> None:
    words = [word for each in filters for word in ("--filter", each)]
    shown = told("events", "--since", "1h", "--until", "0s", "--format", "json", *words)

    assert actions(shown.stdout) == wanted


def test_what_another_process_does_is_shown_when_it_happens(cli: Cli, registry: Registry) -> None:
    process = cli.start("events", "--since", "1m", "--format", "{{.Action}} {{.Name}}")
    assert process.stdout is not None
    try:
        cli("pull", f"{registry.host}/test/image")
        seen = [process.stdout.readline().strip()]
        cli("tag", f"{registry.host}/test/image", "hello:1")
        seen.append(process.stdout.readline().strip())
    finally:
        process.send_signal(signal.SIGINT)
        status = process.wait(10)
        process.communicate()

    assert seen == [f"pull {registry.host}/test/image", "tag hello:1"]
    assert status == 130


def test_an_end_to_come_ends_it_when_it_comes(cli: Cli) -> None:
    shown = cli("events", "--until=-500ms")

    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since", "soon"], "invalid time 'soon'"),
        (["--since", "20", "--until", "10"], "`since` time (20) cannot be after `until` time (10)"),
        (["--filter", "nonsense"], "invalid filter 'nonsense'"),
        (["--since", "1h", "--until", "0s", "--format", "{{.Nonsense}}"], "unknown field .Nonsense"),
    ],
)
def test_what_cannot_be_understood_is_a_mistake_of_the_command_line(told: Cli, words: list[str], said: str) -> None:
    shown = told("events", *words)

    assert shown.returncode == 2
    assert said in shown.stderr
