"""Docker's JSON messages, and what of a pull becomes one."""

from __future__ import annotations

import pytest

from headway.engine.messages import Message, bar, drawn_bar, failed, human_size, said, step
from headway.engine.pull_messages import PullMessages, status_line
from headway.engine.routes.imports import ImportMessages
from headway.oci.digest import Digest
from headway.oci.reference import Reference
from headway.service.creation.web_import import Arriving
from headway.service.transfers.progress import LayerProgress, Phase, PullEvent, PullStarted, Waiting

LAYER = Digest.of(b"layer")


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (said("Pulling from a/b", "latest"), b'{"status":"Pulling from a/b","id":"latest"}\r\n'),
        (said("Digest: x"), b'{"status":"Digest: x"}\r\n'),
        (step("Waiting", "abc"), b'{"status":"Waiting","progressDetail":{},"id":"abc"}\r\n'),
        (failed("gone"), b'{"errorDetail":{"message":"gone"},"error":"gone"}\r\n'),
        (
            bar("Downloading", "abc", 500, 1000),
            b'{"status":"Downloading","progressDetail":{"current":500,"total":1000},"progress":"['
            + b"=" * 25
            + b">"
            + b" " * 25
            + b']     500B/1kB","id":"abc"}\r\n',
        ),
    ],
)
def test_a_message_is_one_line_as_docker_writes_it(message: Message, line: bytes) -> None:
    assert message.encode() == line


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (1_048_576, "1.049MB"), (123_456_789, "123.5MB"), (10**18, "1000PB")],
)
def test_sizes_are_decimal_with_four_digits(size: int, text: str) -> None:
    assert human_size(size) == text


@pytest.mark.parametrize(
    ("current", "total", "text"),
    [
        (0, 0, ""),
        (5, 0, "      5B"),
        (20, 10, "[" + "=" * 50 + ">]      20B"),
        (0, 10, "[>" + " " * 50 + "]       0B/10B"),
    ],
)
def test_a_bar_leaves_out_what_is_not_known(current: int, total: int, text: str) -> None:
    assert drawn_bar(current, total) == text


def told(*events: PullEvent) -> list[tuple[str, str]]:
    """Return status and key of what the events become."""
    messages: list[tuple[str, str]] = []
    watch = PullMessages(Reference.parse("busybox:1"), lambda message, key: messages.append((str(message.status), key)))
    for event in events:
        watch(event)
    return messages


def layer(phase: Phase, held: int = 0, **more: float) -> LayerProgress:
    return LayerProgress(LAYER, phase, held=held, size=100, **more)  # type: ignore[arg-type]


def test_a_layer_goes_through_dockers_steps_each_said_once() -> None:
    messages = told(
        PullStarted("busybox:1", LAYER, "linux/amd64", ((LAYER, 100),)),
        layer(Phase.WAITING),
        layer(Phase.WAITING),
        layer(Phase.DOWNLOADING, 40),
        layer(Phase.RETRYING, 40, retry_seconds=3.2),
        layer(Phase.DOWNLOADING, 90),
        layer(Phase.UNPACKING, 100),
        layer(Phase.UNPACKING, 100),
        layer(Phase.DONE, 100),
    )

    assert messages == [
        ("Pulling from library/busybox", ""),
        ("Pulling fs layer", ""),
        ("Waiting", ""),
        ("Downloading", LAYER.short),
        ("Retrying in 4 seconds", LAYER.short),
        ("Downloading", LAYER.short),
        ("Verifying Checksum", ""),
        ("Download complete", ""),
        ("Extracting", LAYER.short),
        ("Extracting", LAYER.short),
        ("Pull complete", ""),
    ]


def test_a_layer_that_is_here_has_one_line() -> None:
    assert told(layer(Phase.HERE, 100)) == [("Already exists", "")]


def test_the_layers_of_an_image_that_is_here_are_not_named() -> None:
    started = PullStarted("busybox:1", LAYER, "linux/amd64", ((LAYER, 100),), is_here=True)

    assert told(started, layer(Phase.HERE, 100)) == [("Pulling from library/busybox", "")]


def test_a_wait_is_a_line_and_not_one_for_each_second() -> None:
    waits = [Waiting("busybox:1", "no route", left) for left in (4.1, 3.1, 2.1, 1.1, 0.1, 8.2, 7.2)]

    assert [status for status, _ in told(*waits)] == [
        "waiting for the link: no route; next try in 5 s",
        "waiting for the link: no route; next try in 9 s",
    ]


def test_a_wait_of_an_import_is_a_line_and_not_one_for_each_second() -> None:
    lines: list[Message] = []
    watch = ImportMessages("http://host/x.tar", lambda message, _: lines.append(message))
    for left in (4.1, 3.1, 2.1):
        watch(Arriving(cause="no route", retry_seconds=left))

    assert [line.status for line in lines] == ["waiting for the link: no route; next try in 5 s"]


def test_a_cut_download_never_shows_a_full_bar() -> None:
    """Docker draws one when it closes the reader (moby-behaviour 9.10)."""
    assert ("Downloading", LAYER.short) not in told(layer(Phase.DOWNLOADING, 100))


def test_the_last_line_says_whether_the_name_moved() -> None:
    assert status_line("busybox:1", updated=True).status == "Status: Downloaded newer image for busybox:1"
    assert status_line("busybox:1", updated=False).status == "Status: Image is up to date for busybox:1"
