"""What the daemon logs, and tells systemd."""

from __future__ import annotations

import io
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from headway.daemon import logs
from headway.daemon.notify import notify
from headway.errors import InvalidSettingError

log = logging.getLogger("headway.test")


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("headway", "asyncio", "aiohttp")]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    yield
    for logger, state in zip(loggers, before, strict=True):
        logger.handlers[:], logger.level, logger.propagate = state


def test_an_event_is_one_line_of_text_whatever_is_in_it() -> None:
    stream = io.StringIO()
    logs.begin("info", "text", stream)

    log.info("Download failed, retrying (%d/%d): %s", 1, 3, 'a "quote"\nlevel=fatal')

    line = stream.getvalue()
    assert line.count("\n") == 1
    assert line.endswith('level=info msg="Download failed, retrying (1/3): a \\"quote\\"\\nlevel=fatal"\n')


def test_what_a_registry_says_cannot_draw_on_the_terminal_that_shows_the_log() -> None:
    stream = io.StringIO()
    logs.begin("info", "text", stream)

    log.info("%s", "\x1b[2Jgone\rtime=now\x85\u2028more")

    assert stream.getvalue().endswith('msg="\\u001b[2Jgone\\u000dtime=now\\u0085\\u2028more"\n')


def test_what_the_libraries_warn_of_is_an_event_like_any_other() -> None:
    stream = io.StringIO()
    logs.begin("info", "json", stream)

    logging.getLogger("asyncio").warning("socket.accept() out of\nsystem resource")

    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["logger"] == "asyncio"


def test_an_event_is_one_object_of_json() -> None:
    stream = io.StringIO()
    logs.begin("debug", "json", stream)

    log.warning("odd\nthing", exc_info=KeyError("x"))

    (line,) = stream.getvalue().splitlines()
    event = json.loads(line)
    assert (event["level"], event["msg"]) == ("warning", "odd\nthing")
    assert "KeyError" in event["error"]


@pytest.mark.parametrize(
    ("word", "level"), [("warn", "warn"), ("WARNING", "warn"), ("trace", "debug"), ("Panic", "fatal")]
)
def test_a_level_has_the_names_that_dockerd_takes(word: str, level: str) -> None:
    assert logs.known_level(word) == level


def test_the_level_can_change_while_it_logs() -> None:
    stream = io.StringIO()
    logs.begin("info", "text", stream)

    log.debug("before")
    logs.set_level("debug")
    log.debug("after")

    assert "before" not in stream.getvalue()
    assert "after" in stream.getvalue()


@pytest.mark.parametrize(("level", "form"), [("zzz", "text"), ("info", "xml")])
def test_a_level_or_format_that_there_is_not_is_refused(level: str, form: str) -> None:
    with pytest.raises(InvalidSettingError, match="invalid log"):
        logs.require_known(level, form)


def test_systemd_is_told_where_it_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))

        notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "notify")})

        assert systemd.recv(100) == b"READY=1"


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/no/such/socket"}, {"NOTIFY_SOCKET": "vsock:2"}])
def test_without_systemd_nothing_happens(environment: dict[str, str]) -> None:
    notify("READY=1", environment)
