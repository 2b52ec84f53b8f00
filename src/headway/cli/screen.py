"""What pulls and pushes draw on a terminal: titles, a line a layer, and what is waited for, in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
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

    def _draw(self) -> Group:
        rows, titles = list(self._rows()), [text_of(title) for title in self.titles]
        below = [text_of(self.waiting)] if self.waiting else []
        # Of what is too tall, rich would leave out the end: layers under way, and what is waited for.
        shown = self._fitting(rows, self._console.height - self._lines(*titles, *below)) if self._is_open else rows
        if len(shown) < len(rows):
            below.insert(0, Text(f"  and {counted(len(rows) - len(shown), 'more layer')}"))
        return Group(*titles, _table(shown), *below)

    def _fitting(self, rows: Sequence[Row], room: int) -> Sequence[Row]:
        """Return the rows that fit into so many lines, one of which says how many do not."""
        shown = rows
        while len(shown) > 1 and (lines := self._lines(_table(shown))) > room - (len(shown) < len(rows)):
            shown = most_telling(rows, min(len(shown) - 1, (room - 1) * len(shown) // lines))
        return shown

    def _lines(self, *parts: RenderableType) -> int:
        return len(self._console.render_lines(Group(*parts), pad=False)) if parts else 0


def _table(rows: Iterable[Row]) -> Table:
    table = Table.grid(padding=(0, 2))
    for row in rows:
        table.add_row(f"  {row.name}", size(row.size).rjust(8), row.state, row.words)
    return table


def most_telling(rows: Sequence[Row], room: int) -> list[Row]:
    """Return as many rows as there is room for, in order, one at least: those under way before the others."""
    chosen = sorted(range(len(rows)), key=lambda at: not rows[at].is_under_way)[: max(1, room)]
    return [rows[at] for at in sorted(chosen)]


def bar_of(done: int, total: int) -> ProgressBar:
    """Return a bar."""
    return ProgressBar(total=max(1, total), completed=done, width=20)


def text_of(line: str) -> Text:
    """Return a line as it can be drawn."""
    return Text(one_line(line))
