"""What pulls and pushes draw on a terminal: titles, a line a layer, and what is waited for, in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TextIO, TypeAlias

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from headway.cli.terminal import drawing, one_line
from headway.cli.units import size

Row: TypeAlias = tuple[str, int, ProgressBar | Text, str]
"""A layer: its short name, its size, a bar or its state in words, and what is said behind a bar."""


class Screen:
    """Draws with rich, eight times a second at the most.

    Args:
        stream: A terminal.
        rows: Returns the layers as they are now.

    Attributes:
        titles: Lines above the layers.
        waiting: The line below them; empty for none.
    """

    def __init__(self, stream: TextIO, rows: Callable[[], Iterable[Row]]) -> None:
        self.titles: list[str] = []
        self.waiting = ""
        self._rows = rows
        self._console = Console(file=drawing(stream), highlight=False)  # what is drawn here is made safe by itself
        self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=8, transient=False)
        self._live.start()

    def say(self, line: str) -> None:
        """Write a line that stays."""
        self._console.print(text_of(line))

    def close(self) -> None:
        """End the drawing; what is said next stands below it."""
        self._live.stop()

    def _draw(self) -> Group:
        table = Table.grid(padding=(0, 2))
        for name, total, state, words in self._rows():
            table.add_row(f"  {name}", size(total).rjust(8), state, words)
        below = [text_of(self.waiting)] if self.waiting else []
        return Group(*map(text_of, self.titles), table, *below)


def bar_of(done: int, total: int) -> ProgressBar:
    """Return a bar."""
    return ProgressBar(total=max(1, total), completed=done, width=20)


def text_of(line: str) -> Text:
    """Return a line as it can be drawn."""
    return Text(one_line(line))
