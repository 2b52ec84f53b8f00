"""A pull on a terminal: one line a layer, drawn in place."""

from __future__ import annotations

import time
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from headway.cli.progress import SilentView, describe, describe_receipt
from headway.cli.terminal import one_line
from headway.cli.units import size
from headway.oci.digest import Digest
from headway.service.progress import LayerProgress, Notice, Phase, PullEvent, PullStarted, Receipt, Waiting

_RATE_SECONDS = 5.0


class LiveView(SilentView):
    """Draws with rich, ten times a second at the most."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        # Past the safe stream, for drawing takes control characters; what is drawn here is made safe by itself.
        raw = open(stream.fileno(), "w", encoding=stream.encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
        self._console = Console(file=raw, highlight=False)
        self._titles: list[str] = []
        self._waiting: Waiting | None = None
        self._rates: dict[Digest, tuple[float, int, float]] = {}
        self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=8, transient=False)
        self._live.start()

    def report(self, event: PullEvent) -> None:
        """See `View.report`."""
        match event:
            case PullStarted():
                self._titles.append(f"{event.reference}  {event.platform}")
                self._waiting = None
            case Waiting():
                self._waiting = event
            case Notice():
                self._titles.append(f"note: {event.text}")
            case LayerProgress():
                self._measure(event)
            case _:
                pass
        super().report(event)

    def _measure(self, layer: LayerProgress) -> None:
        """Keep a rate that follows the last seconds."""
        now = time.monotonic()
        since, held, rate = self._rates.get(layer.digest, (now, layer.held, 0.0))
        if now - since >= _RATE_SECONDS / 5:
            fresh = (layer.held - held) / (now - since)
            weight = min(1.0, (now - since) / _RATE_SECONDS)
            self._rates[layer.digest] = (
                now,
                layer.held,
                fresh if rate == 0 else rate + (fresh - rate) * weight,
            )
        elif layer.digest not in self._rates:
            self._rates[layer.digest] = (now, layer.held, 0.0)

    def _draw(self) -> Group:
        table = Table.grid(padding=(0, 2))
        for layer in self.layers.values():
            table.add_row(f"  {layer.digest.short}", size(layer.size).rjust(8), *self._state(layer))
        lines: list[Text | Table] = [Text(one_line(title)) for title in self._titles]
        lines.append(table)
        if self._waiting is not None:
            left = self._waiting.retry_seconds
            lines.append(
                Text(
                    f"waiting for the link: {one_line(str(self._waiting.cause))}; nothing is lost; "
                    f"next try in {left:.0f} s"
                )
            )
        return Group(*lines)

    def _state(self, layer: LayerProgress) -> tuple[ProgressBar | Text, str]:
        if layer.phase not in (Phase.DOWNLOADING, Phase.UNPACKING):
            return Text(one_line(describe(layer))), ""
        done = layer.held if layer.phase is Phase.DOWNLOADING else layer.unpacked
        bar = ProgressBar(total=max(1, layer.size), completed=done, width=20)
        kept = f" ({size(layer.kept)} kept)" if layer.kept else ""
        rate = self._rates.get(layer.digest, (0.0, 0, 0.0))[2]
        speed = f"  {size(rate)}/s" if layer.phase is Phase.DOWNLOADING and rate else ""
        return bar, f"{size(done)}{kept}{speed}{'  unpacking' if layer.phase is Phase.UNPACKING else ''}"

    def receipt(self, receipt: Receipt) -> None:
        """See `View.receipt`."""
        self._console.print(Text(describe_receipt(receipt)))

    def close(self) -> None:
        """See `View.close`."""
        self._live.stop()
