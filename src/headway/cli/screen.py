"""Draws pulls and pushes on a terminal, in place: titles, a line for each layer, and what is being waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import Segment, SegmentLines
from rich.table import Table
from rich.text import Text

from headway.cli.terminal import drawing, one_line
from headway.cli.units import counted, size


class Row(NamedTuple):
    """A layer.

    Attributes:
        name: Its short name.
        size: In bytes.
        state: A bar, or its state in words.
        words: What is said behind a bar.
        is_under_way: Whether something goes on with it: where not all layers have room, these are shown.
    """

    name: str
    size: int
    state: ProgressBar | Text
    words: str = ""
    is_under_way: bool = False


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
        self._is_open = True
        self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=8, transient=False)
        self._live.start()

    def say(self, line: str) -> None:
        """Write a line that stays."""
        self._console.print(text_of(line))

    def close(self) -> None:
        """End the drawing; what is said next stands below it."""
        self._is_open = False  # what stays has every layer
        self._live.stop()

    def _draw(self) -> SegmentLines:
        rows = list(self._rows())
        above = self._lines(*map(text_of, self.titles))
        below = self._lines(text_of(self.waiting)) if self.waiting else []
        count, table = len(rows), self._lines(_table(rows))
        # Of what is too tall, rich would leave out the end: layers under way, and what is waited for.
        room = self._console.height - len(above) - len(below)
        while self._is_open and count > 1 and len(table) > room - (count < len(rows)):
            count = max(1, min(count - 1, (room - 1) * count // len(table)))
            table = self._lines(_table(most_telling(rows, count)))
        if count < len(rows):
            table += self._lines(Text(f"  and {counted(len(rows) - count, 'more layer')}"))
        return SegmentLines([*above, *table, *below], new_lines=True)

    def _lines(self, *parts: RenderableType) -> list[list[Segment]]:
        return self._console.render_lines(Group(*parts), pad=False) if parts else []


def _table(rows: Iterable[Row]) -> Table:
    table = Table.grid(padding=(0, 2))
    for row in rows:
        table.add_row(f"  {row.name}", size(row.size).rjust(8), row.state, row.words)
    return table


def most_telling(rows: Sequence[Row], count: int) -> list[Row]:
    """Return so many rows, in order: those under way before the others."""
    chosen = sorted(range(len(rows)), key=lambda at: not rows[at].is_under_way)[:count]
    return [rows[at] for at in sorted(chosen)]


def bar_of(done: int, total: int) -> ProgressBar:
    """Return a bar."""
    return ProgressBar(total=max(1, total), completed=done, width=20)


def text_of(line: str) -> Text:
    """Return a line as it can be drawn."""
    return Text(one_line(line))
