"""The daemon's log: one line per event on stderr, as text like Docker's or as JSON.

Rule: an event is one line, whatever a registry or a client put into it; no credential ever reaches a logger.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import TextIO

from headway.errors import InvalidSettingError

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}
_ALSO = {"trace": "debug", "warning": "warn", "panic": "fatal"}
"""Levels that only dockerd has, each with the nearest level here."""
_NAMES = {number: name for name, number in LEVELS.items()} | {logging.WARNING: "warning"}  # dockerd's lines say so
_LIBRARIES = ("asyncio", "aiohttp")  # what they warn of belongs into the same log, in its form
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def begin(level: str, form: str, stream: TextIO = sys.stderr) -> logging.Handler:
    """Log everything below ``headway`` to `stream`, from `level` on, and return the handler."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonLines() if form == "json" else _TextLines())
    for name in ("headway", *_LIBRARIES):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
    set_level(level)
    return handler


def require_known(level: str, form: str) -> None:
    """Check a level and a format.

    Raises:
        InvalidSettingError: One does not exist.
    """
    known_level(level)
    if form not in ("text", "json"):
        raise InvalidSettingError(f"invalid log format: {form}; it is text or json")


def known_level(level: str) -> str:
    """Return the level that a word names, in upper or lower case, as dockerd does.

    Raises:
        InvalidSettingError: There is no such level.
    """
    known = _ALSO.get(level.lower(), level.lower())
    if known not in LEVELS:
        raise InvalidSettingError(f"invalid logging level: {level}; it is one of {', '.join(LEVELS)}")
    return known


def set_level(level: str) -> None:
    """Log from `level` on.

    Raises:
        InvalidSettingError: No such level.
    """
    logging.getLogger("headway").setLevel(LEVELS[known_level(level)])


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _TextLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = super().format(record).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        message = _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", message)  # it may be shown on a terminal
        return f'time="{_time(record)}" level={_NAMES.get(record.levelno, "info")} msg="{message}"'


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": _NAMES.get(record.levelno, "info"),
            "msg": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)
