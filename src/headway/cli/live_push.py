"""A push on a terminal: one line a layer, drawn in place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from headway.cli.progress import describe_waiting
from headway.cli.push_progress import PushView, describe, describe_receipt
from headway.cli.screen import Row, Screen, bar_of, text_of
from headway.cli.units import size
from headway.service.progress import Notice, Waiting
from headway.service.push_progress import PushEvent, PushPhase, PushReceipt, PushStarted


class LivePush(PushView):
    """Draws layers as they are packed and sent."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._screen = Screen(stream, self._rows)

    def report(self, event: PushEvent) -> None:
        """See `PushView.report`."""
        self._screen.waiting = describe_waiting(event) if isinstance(event, Waiting) else ""
        if isinstance(event, PushStarted):
            self._screen.titles.append(f"{event.reference}  to {event.repository}")
        elif isinstance(event, Notice):
            self._screen.titles.append(f"note: {event.text}")
        super().report(event)

    def _rows(self) -> Iterator[Row]:
        for layer in list(self.layers.values()):  # it is drawn in a thread
            if layer.phase in (PushPhase.PACKING, PushPhase.PUSHING):
                words = f"{size(layer.held)}  {layer.phase.value}"
                yield Row(layer.diff_id.short, layer.size, bar_of(layer.held, layer.size), words, is_under_way=True)
            else:
                is_tried = layer.phase is PushPhase.RETRYING
                yield Row(layer.diff_id.short, layer.size, text_of(describe(layer)), is_under_way=is_tried)

    def receipt(self, receipt: PushReceipt) -> None:
        """See `PushView.receipt`."""
        self._screen.say(describe_receipt(receipt))

    def close(self) -> None:
        """See `PushView.close`."""
        self._screen.close()
