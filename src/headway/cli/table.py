"""Tables, JSON and docker's templates from the same rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial

from headway.errors import InvalidSettingError

SCHEMA = 1
_FIELD = re.compile(r"\{\{\s*(?:(json)\s+)?\.([A-Za-z]*)\s*\}\}")


def render(rows: Sequence[Mapping[str, object]], columns: Mapping[str, str], how: str) -> str:
    """Return rows as text.

    Args:
        rows: Values by field name; all rows have the same fields.
        columns: Heading by field name, in order: what a table shows.
        how: ``table``, ``json``, a template such as ``{{.ID}}``, or ``table`` followed by one.

    Raises:
        InvalidSettingError: The template uses what Headway does not know.
    """
    if how == "json":
        return json_text({"schema": SCHEMA, "items": rows}, indent=1)
    if how == "table":
        return _table([list(columns.values()), *([str(row[name]) for name in columns] for row in rows)])
    known = set(columns) | {name for row in rows for name in row}
    template = how.removeprefix("table ").encode().decode("unicode_escape")
    _check(template, known)
    lines = [_FIELD.sub(partial(_value, row), template) for row in rows]
    if how.startswith("table "):
        headings = _FIELD.sub(lambda match: columns.get(match[2], match[2].upper()), template)
        return _table([line.split("\t") for line in (headings, *lines)])
    return "\n".join(lines)


def json_text(value: object, indent: int = 0) -> str:
    """Return a value as JSON; what JSON does not know is written as text."""
    import msgspec  # noqa: PLC0415  # tables and templates must not wait for it

    data = msgspec.json.encode(value, enc_hook=str)
    return (msgspec.json.format(data, indent=indent) if indent else data).decode()


def _check(template: str, known: set[str]) -> None:
    for match in _FIELD.finditer(template):
        if match[2] and match[2] not in known:
            raise InvalidSettingError(f"--format: unknown field .{match[2]}; there are {', '.join(sorted(known))}")
    rest = _FIELD.sub("", template)
    if "{{" in rest:
        raise InvalidSettingError(
            f"--format: {rest[rest.index('{{') :][:40]!r} is more than a field; fields alone are understood"
        )


def _value(row: Mapping[str, object], match: re.Match[str]) -> str:
    value = row[match[2]] if match[2] else row
    return json_text(value) if match[1] or not match[2] else str(value)


def _table(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in lines if i < len(line)) for i in range(max(map(len, lines)))]
    return "\n".join("   ".join(cell.ljust(widths[i]) for i, cell in enumerate(line)).rstrip() for line in lines)
