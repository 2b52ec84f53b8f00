"""`headway traffic`: shows the bytes that crossed the network, by day, registry and image."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Sequence

from headway.cli.failures import DONE
from headway.cli.remote import named_daemon
from headway.cli.session import settings_of
from headway.cli.table import SCHEMA, json_text, render
from headway.cli.units import size
from headway.composition.reading import traffic_of
from headway.interfaces.traffic import Errand, Traffic, TrafficRow
from headway.service.queries.moments import SECOND, parse_moment
from headway.service.transfers.traffic import day_of

_COLUMNS = {
    "Day": "DAY",
    "Registry": "REGISTRY",
    "Image": "IMAGE",
    "Received": "RECEIVED",
    "Useful": "USEFUL",
    "Wasted": "WASTED",
    "Reused": "REUSED",
    "Sent": "SENT",
}


def traffic(options: Namespace) -> int:
    """Show the sums of each day, in UTC, and their total."""
    since, until = _day(options.since), _day(options.until)
    if (daemon := named_daemon(options)) is not None:
        from headway.client import questions  # noqa: PLC0415  # who reads by itself does not pay for it

        rows = questions.traffic(daemon, since, until)
    else:
        rows = traffic_of(settings_of(options), since, until)
    total = sum((row.traffic for row in rows), Traffic())
    if options.format == "json":
        print(json_text(_document(rows, total), indent=1))
        return DONE
    shown = rows if options.format != "table" else [*rows, TrafficRow("Total", Errand(), total)]
    print(render([_row(row) for row in shown], _COLUMNS, options.format), end="")
    return DONE


def _day(moment: str | None) -> str:
    return day_of(parse_moment(moment, now=time.time_ns()) / SECOND) if moment else ""


def _row(row: TrafficRow) -> dict[str, object]:
    return {
        "Day": row.day,
        "Registry": row.errand.registry,
        "Image": row.errand.image,
        "Received": size(row.traffic.received),
        "Useful": size(row.traffic.useful),
        "Wasted": size(row.traffic.wasted),
        "Reused": size(row.traffic.reused),
        "Sent": size(row.traffic.sent),
    }


def _document(rows: Sequence[TrafficRow], total: Traffic) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "items": [
            {"day": row.day, "registry": row.errand.registry, "image": row.errand.image, **_bytes(row.traffic)}
            for row in rows
        ],
        "total": _bytes(total),
    }


def _bytes(traffic: Traffic) -> dict[str, int]:
    return {
        "received": traffic.received,
        "useful": traffic.useful,
        "wasted": traffic.wasted,
        "reused": traffic.reused,
        "sent": traffic.sent,
    }
