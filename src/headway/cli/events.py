"""`headway events`: what happened, and what happens, whoever does it."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime

from headway.cli.failures import DONE
from headway.cli.session import say, settings_of
from headway.cli.table import json_text, render
from headway.cli.terminal import one_line
from headway.composition.reading import reading
from headway.records import Event
from headway.service.event_query import SCOPE, EventQuery
from headway.service.filters import parse_filters
from headway.service.moments import SECOND
from headway.settings import Settings

LOOK_SECONDS = 0.25
_FIELDS = ("Time", "TimeNano", "Type", "Action", "ID", "Name", "Attributes", "Scope")


def events(options: Namespace) -> int:
    """Show what happened since a moment, and then what happens, until Ctrl-C or another moment."""
    query = EventQuery.parse(
        options.since or "", options.until or "", parse_filters(options.filter or ()), now=time.time_ns()
    )
    for event in _happening(settings_of(options), query):
        if query.wants(event):
            print(_shown(event, options.format), end="")
            sys.stdout.flush()
    return DONE


def _happening(settings: Settings, query: EventQuery) -> Iterator[Event]:
    """Yield events as they are recorded, by whatever process: a look at the database tells, four times a second."""
    seen = _last(settings) if not query.looks_back else 0
    has_begun = not query.looks_back
    while True:
        is_over = query.until is not None and time.time_ns() >= query.until
        with reading(settings) as records:
            found = records.log.behind(seen)
        if found:
            if has_begun and found[0].sequence > seen + 1:
                say(f"{found[0].sequence - seen - 1} events were too many to be kept, and are not shown")
            seen, has_begun = found[-1].sequence, True
        yield from found
        if is_over:
            return
        time.sleep(LOOK_SECONDS if query.until is None else _pause(query.until))


def _pause(until: int) -> float:
    return min(LOOK_SECONDS, max(0.0, (until - time.time_ns()) / SECOND))


def _last(settings: Settings) -> int:
    with reading(settings) as records:
        return records.log.last()


def _shown(event: Event, how: str) -> str:
    if how == "table":
        attributes = ", ".join(f"{key}={value}" for key, value in sorted(event.attributes.items()))
        line = f"{_moment(event)} {event.type} {event.action} {event.actor}" + (
            f" ({attributes})" if attributes else ""
        )
        return f"{one_line(line)}\n"
    row = {
        "Time": _moment(event),
        "TimeNano": event.time_nano,
        "Type": event.type,
        "Action": event.action,
        "ID": event.actor,
        "Name": event.attributes.get("name", ""),
        "Attributes": dict(event.attributes),
        "Scope": SCOPE,
    }
    return f"{json_text(row)}\n" if how == "json" else render([row], dict.fromkeys(_FIELDS, ""), how)


def _moment(event: Event) -> str:
    """Return when it happened, to the nanosecond, so that it can be asked for with ``--since``."""
    seconds, nano = divmod(event.time_nano, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nano:09d}Z"
