"""A push on a terminal: one line a layer, drawn in place."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from headway.cli.push_progress import SilentPush, describe, describe_receipt
from headway.cli.terminal import one_line
from headway.cli.units import size
from headway.service.progress import Notice, Waiting
from headway.service.push_progress import LayerPush, PushEvent, PushPhase, PushReceipt, PushStarted


class LivePush(SilentPush):
    """Draws with rich, eight times a second at the most."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        # Past the safe stream, for drawing takes control characters; what is drawn here is made safe by itself.
        raw = open(stream.fileno(), "w", encoding=stream.encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
        self._console = Console(file=raw, highlight=False)
        self._titles: list[str] = []
        self._waiting: Waiting | None = None
        self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=8, transient=False)
        self._live.start()

    def report(self, event: PushEvent) -> None:
        """See `PushView.report`."""
        self._waiting = event if isinstance(event, Waiting) else None
        if isinstance(event, PushStarted):
            self._titles.append(f"{event.reference}  to {event.repository}")
        elif isinstance(event, Notice):
            self._titles.append(f"note: {event.text}")
        super().report(event)

    def _draw(self) -> Group:
        table = Table.grid(padding=(0, 2))
        for layer in self.layers.values():
            table.add_row(f"  {layer.diff_id.short}", size(layer.size).rjust(8), *_state(layer))
        lines: list[Text | Table] = [Text(one_line(title)) for title in self._titles]
        lines.append(table)
        if self._waiting is not None:
            left = self._waiting.retry_seconds
            lines.append(Text(f"waiting for the link: {one_line(self._waiting.cause)}; next try in {left:.0f} s"))
        return Group(*lines)

    def receipt(self, receipt: PushReceipt) -> None:
        """See `PushView.receipt`."""
        self._console.print(Text(describe_receipt(receipt)))

    def close(self) -> None:
        """See `PushView.close`."""
        self._live.stop()


def _state(layer: LayerPush) -> tuple[ProgressBar | Text, str]:
    if layer.phase not in (PushPhase.PACKING, PushPhase.PUSHING):
        return Text(one_line(describe(layer))), ""
    bar = ProgressBar(total=max(1, layer.size), completed=layer.held, width=20)
    return bar, f"{size(layer.held)}  {layer.phase.value}"
