"""What pulls and pushes draw on a terminal."""

from __future__ import annotations

import os
import pty
import re
from collections.abc import Iterator
from typing import TextIO

import pytest

from headway.cli.live import LiveView
from headway.oci.digest import DiffID, Digest
from headway.service.pushing.progress import LayerPush, PushPhase, PushStarted
from headway.service.transfers.progress import LayerProgress, Notice, Phase, PullStarted, Waiting
from tests.fakes.waiting import wait_until

LAYER = Digest.of(b"layer")
WAITING = Waiting("edge:1", "no route to ghcr.io", 4.0)
NOTICE = Notice("edge:1", "an \x1b[31modd\x1b[0m mirror")
SAFE_NOTICE = r"note: an \u001b[31modd\u001b[0m mirror"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal:
    """A terminal, and what was drawn on it."""

    def __init__(self, master: int, stream: TextIO) -> None:
        self._master = master
        self.stream = stream

    def shown(self) -> str:
        """Return everything that was drawn up to now, without what moves the cursor."""
        os.set_blocking(self._master, False)  # positional only
        pieces = []
        try:
            while piece := os.read(self._master, 1 << 16):
                pieces.append(piece)
        except BlockingIOError:
            pass
        return _CONTROL.sub("", b"".join(pieces).decode())

    def shown_until(self, text: str) -> str:
        """Return what is drawn until some text is."""
        drawn = ""

        def is_there() -> bool:
            nonlocal drawn
            drawn += self.shown()
            return text in drawn

        wait_until(is_there)
        return drawn


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as stream:
        yield Terminal(master, stream)
    os.close(master)


def test_a_pull_draws_its_name_its_layers_and_what_it_waits_for(terminal: Terminal) -> None:
    view = LiveView(terminal.stream)
    view.report(PullStarted("edge:1", LAYER, "linux/arm64", ((LAYER, 100_000),)))
    view.report(LayerProgress(LAYER, Phase.DOWNLOADING, held=50_000, size=100_000, kept=20_000))
    view.report(NOTICE)
    view.report(WAITING)
    view.close()

    shown = terminal.shown()

    assert "edge:1  linux/arm64" in shown
    assert re.search(rf"{LAYER.short} +100(\.0)? kB +[^\n]* 50(\.0)? kB \(20(\.0)? kB kept\)", shown)
    assert "waiting for the link: no route to ghcr.io; nothing is lost; next try in 4" in shown
    assert SAFE_NOTICE in shown


def test_a_pull_of_more_layers_than_a_terminal_has_lines_shows_those_under_way(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINES", "24")
    layers = [Digest.of(b"%d" % number) for number in range(40)]
    view = LiveView(terminal.stream)
    view.report(PullStarted("edge:1", LAYER, "linux/arm64", tuple((layer, 1000) for layer in layers)))
    for layer in layers[:-1]:
        view.report(LayerProgress(layer, Phase.DONE, held=1000, size=1000, kept=0))
    view.report(LayerProgress(layers[-1], Phase.DOWNLOADING, held=500, size=1000, kept=0))
    view.report(WAITING)
    drawn = terminal.shown_until("waiting for the link")
    view.close()
    left = terminal.shown()

    assert f"{layers[-1].short} " in drawn
    assert "  and 19 more layers" in drawn
    assert "waiting for the link" in drawn
    assert "..." not in drawn
    assert all(layer.short in left for layer in layers)


def test_what_there_is_no_room_for_is_counted_where_a_layer_takes_several_lines(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "10")
    layers = [Digest.of(b"%d" % number) for number in range(3)]
    view = LiveView(terminal.stream)
    view.report(PullStarted("edge:1", LAYER, "linux/arm64", tuple((layer, 10**9) for layer in layers)))
    for layer in layers:
        view.report(LayerProgress(layer, Phase.UNPACKING, held=10**9, size=10**9, kept=123_456_789, unpacked=987_654))
    drawn = terminal.shown_until(" more layer")
    view.close()

    assert re.search(r"  and 1 more layer\b", drawn)
    assert "..." not in drawn


def test_a_push_draws_where_it_goes_and_its_layers(terminal: Terminal) -> None:
    diff_id = DiffID(LAYER)
    view = LiveView(terminal.stream)
    view.report(PushStarted("edge:1", "ghcr.io/acme/edge", ((diff_id, 100_000),)))
    view.report(LayerPush(diff_id, PushPhase.PUSHING, held=50_000, size=100_000))
    view.report(NOTICE)
    view.close()

    shown = terminal.shown()

    assert "edge:1  to ghcr.io/acme/edge" in shown
    assert re.search(rf"{LAYER.short} +100(\.0)? kB +[^\n]* 50(\.0)? kB +pushing", shown)
    assert SAFE_NOTICE in shown


def test_a_terminal_that_takes_nothing_does_not_end_a_pull() -> None:
    with open("/dev/full", "w") as stream:
        view = LiveView(stream)
        view.report(PullStarted("edge:1", LAYER, "linux/arm64", ((LAYER, 100_000),)))
        view.report(LayerProgress(LAYER, Phase.DONE, held=100_000, size=100_000, kept=0))
        view.close()
