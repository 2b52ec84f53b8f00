"""Formats rows as a table, as JSON, or with one of Docker's templates."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from headway.cli.terminal import one_line
from headway.errors import InvalidSettingError

SCHEMA = 1
_PATH = re.compile(r"\{\{\s*(?:(json)\s+)?((?:\.[A-Za-z]*)+)\s*\}\}")
_FIELD = re.compile(r"\{\{\s*(?:(json)\s+)?\.([A-Za-z]*)\s*\}\}")


def render(
    rows: Sequence[Mapping[str, object]], headings: Mapping[str, str], how: str, *, shown: Sequence[str] = ()
) -> str:
    """Return rows as text that ends with a newline; without rows a template gives nothing.

    Args:
        rows: Values by field name; each row has every field.
        headings: Heading of every field.
        how: ``table``, ``json``, a template such as ``{{.ID}}``, or ``table`` followed by one.
        shown: The fields that a table shows, in order; all of them if none is named.

    Raises:
        InvalidSettingError: The template uses what Headway does not know.
    """
    if how == "json":
        return json_text({"schema": SCHEMA, "items": rows}, indent=1) + "\n"
    if how == "table":
        names = shown or list(headings)
        return _table([[headings[name] for name in names], *([str(row[name]) for name in names] for row in rows)])
    template = how.removeprefix("table ").replace("\\t", "\t").replace("\\n", "\n")  # as docker reads them
    _check(template, headings)
    if how.startswith("table "):
        return _table([_FIELD.sub(partial(_value, row), template).split("\t") for row in (headings, *rows)])
    return "".join(f"{_FIELD.sub(partial(_value, row), template)}\n" for row in rows)


def fields(documents: Sequence[Mapping[str, object]], template: str) -> str:
    """Return a line per document: a template whose fields may lie in fields, as in ``{{.Config.Cmd}}``.

    Lists and objects are written as JSON.

    Raises:
        InvalidSettingError: The template uses what Headway does not know, or a field that is not there.
    """
    template = template.replace("\\t", "\t").replace("\\n", "\n")
    _check_rest(_PATH.sub("", template))
    return "".join(f"{_PATH.sub(partial(_within, each), template)}\n" for each in documents)


def _within(document: object, match: re.Match[str]) -> str:
    value = document
    for name in filter(None, match[2].split(".")):
        if not isinstance(value, Mapping) or name not in value:
            raise InvalidSettingError(f"--format: {match[2]} is not there")
        value = value[name]
    return one_line(value) if isinstance(value, str) and not match[1] else json_text(value)


def json_text(value: object, indent: int = 0) -> str:
    """Return a value as JSON; a type that JSON does not have is written as text."""
    import msgspec  # noqa: PLC0415  # tables and templates must not wait for it

    data = msgspec.json.encode(value, enc_hook=str)
    return (msgspec.json.format(data, indent=indent) if indent else data).decode()


def _check(template: str, known: Collection[str]) -> None:
    for match in _FIELD.finditer(template):
        if match[2] and match[2] not in known:
            raise InvalidSettingError(f"--format: unknown field .{match[2]}; there are {', '.join(sorted(known))}")
    _check_rest(_FIELD.sub("", template))


def _check_rest(rest: str) -> None:
    if "{{" in rest:
        raise InvalidSettingError(
            f"--format: {rest[rest.index('{{') :][:40]!r} is more than a field; fields alone are understood"
        )


def _value(row: Mapping[str, object], match: re.Match[str]) -> str:
    value = row[match[2]] if match[2] else row
    return json_text(value) if match[1] or not match[2] else one_line(str(value))


def _table(lines: Sequence[Sequence[str]]) -> str:
    lines = [[one_line(cell) for cell in line] for line in lines]
    widths = [max(len(line[i]) for line in lines if i < len(line)) for i in range(max(map(len, lines)))]
    return "".join("   ".join(map(str.ljust, line, widths)).rstrip() + "\n" for line in lines)
