"""What a check measured, beside the limit it must keep.

Rule: a figure is printed when it is known and is never changed afterwards; one that does not hold fails its check, and
so does a check that holds nothing against a limit. What was measured smaller than claimed says so.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing.

    Attributes:
        name: What was measured.
        value: The result, with its unit.
        limit: What it must keep; empty where it is told for information.
        holds: Whether it does.
    """

    name: str
    value: str
    limit: str
    holds: bool


@dataclass(slots=True)
class Sheet:
    """The figures of one check, and where it may work.

    Attributes:
        place: A directory of its own, which is empty at the start and removed at the end.
        seed: What everything random in it follows from.
        figures: What was measured so far.
        settings: What the environment has set to other than the claim's measure, by name.
    """

    place: Path
    seed: int
    figures: list[Figure] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every figure so far keeps its limit, and at least one has any."""
        return any(figure.limit for figure in self.figures) and all(figure.holds for figure in self.figures)

    def setting(self, name: str) -> str | None:
        """Return what the environment sets a duration or a size to, if it does; the report then tells."""
        if given := os.environ.get(name):
            self.settings[name] = given
        return given

    def at_most(self, name: str, value: float, limit: float, unit: str = "", decimals: int = 3) -> None:
        """Take down a figure that must not be above its limit."""
        form = f",.{decimals}f"
        self._add(Figure(name, f"{value:{form}} {unit}".strip(), f"<= {limit:{form}}", value <= limit))

    def at_least(self, name: str, value: float, limit: float, unit: str = "", decimals: int = 0) -> None:
        """Take down a figure that must not be below its limit."""
        form = f",.{decimals}f"
        self._add(Figure(name, f"{value:{form}} {unit}".strip(), f">= {limit:{form}}", value >= limit))

    def right(self, name: str, problem: str) -> None:
        """Take down something that is right where `problem` is empty."""
        self._add(Figure(name, problem or "yes", "yes", not problem))

    def tell(self, name: str, value: object) -> None:
        """Take down something that has no limit."""
        self._add(Figure(name, str(value), "", holds=True))

    def _add(self, figure: Figure) -> None:
        self.figures.append(figure)
        limit = f"   ({figure.limit})" if figure.limit else ""
        print(f"  {figure.name:<44} {figure.value}{limit}{'' if figure.holds else '   <- FAILS'}", flush=True)


@dataclass(frozen=True, slots=True)
class Check:
    """Something that is claimed, and what measures it.

    Attributes:
        name: As on the command line.
        claim: What must be shown.
        measure: Fills in a sheet.
        needs_root: Whether it mounts.
    """

    name: str
    claim: str
    measure: Callable[[Sheet], None]
    needs_root: bool = False


CHECKS: dict[str, Check] = {}


def check(name: str, claim: str, *, needs_root: bool = False) -> Callable[[Callable[[Sheet], None]], Check]:
    """Register a function as the check of a claim."""

    def register(measure: Callable[[Sheet], None]) -> Check:
        if name in CHECKS:
            sys.exit(f"two checks are called {name}")
        CHECKS[name] = Check(name, claim, measure, needs_root)
        return CHECKS[name]

    return register
