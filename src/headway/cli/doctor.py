"""`headway doctor`: finds out why pulls fail, or cost more than they need to."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Iterator, Sequence

from headway.cli.failures import DONE, FINAL
from headway.cli.session import reference_of, registry_settings_of
from headway.cli.table import SCHEMA, json_text
from headway.cli.terminal import one_line
from headway.cli.units import size
from headway.composition.examining import disk, examining
from headway.composition.requests import pull_request
from headway.distribution.diagnosis import Finding, Level, Section
from headway.errors import HeadwayError
from headway.service.health.doctor import Result, Skipped, problems
from headway.settings import Settings

_REGISTRY = re.compile(r"(\[[0-9a-fA-F:.]+\]|localhost|[^/:]+\.[^/:]+)(:\d+)?")


def doctor(options: Namespace) -> int:
    """Examine this machine, the path to a registry, and the registry; the status is 0 if nothing fails."""
    settings = registry_settings_of(options)
    shown = _Shown(options.format)
    for result in _here(settings):
        shown.add(result)
    if options.target is None:
        shown.add(Skipped("the way, registry", "name a registry or an image"))
    else:
        _examine(settings, options, shown)
    shown.finish()
    return FINAL if problems(shown.results, Level.FAIL) else DONE


def _here(settings: Settings) -> Iterator[Result]:
    try:
        yield disk(settings)
    except HeadwayError as error:
        yield Finding(Section.HERE, Level.FAIL, "disk", str(error))


def _examine(settings: Settings, options: Namespace, shown: _Shown) -> None:
    has_name = _REGISTRY.fullmatch(options.target) is None
    # A registry alone is asked by any name in it: none is sent.
    name = options.target if has_name else f"{options.target}/any"
    request = pull_request(settings, reference_of(name).with_default_tag())
    with examining(settings) as (examiner, meter):
        for result in examiner.examine(request, has_name=has_name, rate=options.rate):
            shown.add(result)
        shown.cost = meter.received_bytes


class _Shown:
    """Prints results as they come, or all at once as JSON."""

    def __init__(self, how: str) -> None:
        self._how = how
        self._section: Section | None = None
        self.results: list[Result] = []
        self.cost = 0

    def add(self, result: Result) -> None:
        """Add a result."""
        self.results.append(result)
        if self._how == "json" or isinstance(result, Skipped):
            return
        section = "" if result.section is self._section else str(result.section)
        self._section = result.section
        advice = f". Try: {result.advice}" if result.advice else ""
        print(one_line(f"{section:<9} {result.level:<4}  {result.check:<8} {result.text}{advice}"), flush=True)

    def finish(self) -> None:
        """Print what was not run, and the summary."""
        if self._how == "json":
            print(json_text(_document(self.results, self.cost), indent=1))
            return
        for skipped in dict.fromkeys(each for each in self.results if isinstance(each, Skipped)):
            print(f"not run         {skipped.check}: {skipped.how}")
        cost = f"This check cost {size(self.cost)}. " if self.cost else ""
        count = f"{_count(self.results, Level.FAIL, 'problem')}, {_count(self.results, Level.WARN, 'warning')}"
        print(f"{cost}{count.capitalize()}.")


def _count(results: Sequence[Result], level: Level, word: str) -> str:
    count = problems(results, level)
    return f"{count or 'no'} {word}{'' if count == 1 else 's'}"


def _document(results: Sequence[Result], cost: int) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "items": [
            {"section": e.section, "level": e.level, "check": e.check, "text": e.text, "advice": e.advice}
            for e in results
            if isinstance(e, Finding)
        ],
        "not_run": [{"check": e.check, "how": e.how} for e in results if isinstance(e, Skipped)],
        "received_bytes": cost,
        "problems": problems(results, Level.FAIL),
        "warnings": problems(results, Level.WARN),
    }
