"""`headway events`: shows past events and new ones, of every process that uses the store."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime

from headway.cli.failures import DONE
from headway.cli.remote import named_daemon
from headway.cli.session import say, settings_of
from headway.cli.table import json_text, render
from headway.cli.terminal import one_line
from headway.composition.reading import reading
from headway.records import Event
from headway.service.events.event_query import SCOPE, EventQuery
from headway.service.queries.filters import parse_filters
from headway.service.queries.moments import SECOND
from headway.settings import Settings

LOOK_SECONDS = 0.25
_FIELDS = ("Time", "TimeNano", "Type", "Action", "ID", "Name", "Attributes", "Scope")


def events(options: Namespace) -> int:
    """Show the events since a moment, and then new ones, until Ctrl-C or another moment."""
    for event in _wanted(options):
        print(_shown(event, options.format), end="")
        sys.stdout.flush()
    return DONE


def _wanted(options: Namespace) -> Iterator[Event]:
    since, until, filters = options.since or "", options.until or "", parse_filters(options.filter or ())
    if (daemon := named_daemon(options)) is not None:
        for heard in daemon.events(since, until, filters):
            if heard.missed:
                _say_missed(heard.missed)
            if heard.event is not None:
                yield heard.event
        return
    query = EventQuery.parse(since, until, filters, now=time.time_ns())
    yield from filter(query.wants, _happening(settings_of(options), query))


def _say_missed(count: int) -> None:
    say(f"{count} events were too many to be kept, and are not shown")


def _happening(settings: Settings, query: EventQuery) -> Iterator[Event]:
    """Yield events as any process records them: the database is read four times a second."""
    seen = _last(settings) if not query.looks_back else 0
    has_begun = not query.looks_back
    while True:
        is_over = query.until is not None and time.time_ns() >= query.until
        with reading(settings) as records:
            found = records.log.behind(seen)
        if found:
            if has_begun and found[0].sequence > seen + 1:
                _say_missed(found[0].sequence - seen - 1)
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
    """Return the time of an event to the nanosecond, so that it can be given to ``--since``."""
    seconds, nano = divmod(event.time_nano, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nano:09d}Z"
