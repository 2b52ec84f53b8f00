"""The result of one check as text for people and JSON for programs; no host and no path of the machine."""

from __future__ import annotations

import datetime
import json
import sqlite3
import ssl
from dataclasses import asdict
from pathlib import Path

from bench import machine
from bench.report import table
from headway.version import VERSION
from tests.prove.sheet import Check, Sheet

SCHEMA = 1
RESULTS = Path(__file__).parents[2] / "bench" / "results"


def write(check: Check, sheet: Sheet, *, seconds: float, results: Path = RESULTS) -> None:
    """Write ``prove-NAME.md`` and ``.json``."""
    facts = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "command": " ".join([f"make prove ONLY={check.name}", *_settings(sheet)]),
        "headway": VERSION,
        **machine.facts(),
        "SQLite": sqlite3.sqlite_version,
        "TLS": ssl.OPENSSL_VERSION,
        "load average": machine.load(),
        "seed": str(sheet.seed),
        "took": f"{seconds:.0f} s",
    }
    results.mkdir(exist_ok=True)
    path = results / f"prove-{check.name}"
    path.with_suffix(".md").write_text(_markdown(check, sheet, facts))
    document = {
        "schema": SCHEMA,
        "check": check.name,
        "claim": check.claim,
        "holds": sheet.holds,
        "facts": facts,
        "figures": [asdict(figure) for figure in sheet.figures],
    }
    path.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")


def _settings(sheet: Sheet) -> list[str]:
    return [f"{name}={value}" for name, value in sheet.settings.items()]


def _markdown(check: Check, sheet: Sheet, facts: dict[str, str]) -> str:
    rows = [["measured", "value", "limit", ""]]
    rows += [[f.name, f.value.replace("|", "\\|"), f.limit, "" if f.holds else "FAILS"] for f in sheet.figures]
    measure = f" with {' '.join(_settings(sheet))}" if sheet.settings else ""
    parts = [
        f"# {check.name}: {'holds' if sheet.holds else 'FAILS'}{measure}",
        f"> {check.claim}",
        table(rows),
        "\n".join(f"- {name}: {value}" for name, value in facts.items()),
    ]
    return "\n\n".join(parts) + "\n"
