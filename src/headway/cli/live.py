"""Shows a pull or a push on a terminal: one line per layer, drawn in place."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TextIO

from headway.cli.progress import View, name_of
from headway.cli.screen import Row, Screen, bar_of, text_of
from headway.cli.sentences import describe, describe_receipt, describe_waiting, title_of
from headway.cli.units import size
from headway.oci.digest import Digest
from headway.service.pushing.progress import LayerPush, PushDone, PushEvent, PushPhase, PushReceipt, PushStarted
from headway.service.transfers.progress import LayerProgress, Notice, Phase, PullEvent, PullStarted, Receipt, Waiting

_RATE_SECONDS = 5.0


class LiveView(View):
    """Draws layers as they are packed and sent, or with the rate at which each arrives."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._rates: dict[Digest, tuple[float, int, float]] = {}
        self._screen = Screen(stream, self._rows)

    def report(self, event: PullEvent | PushEvent) -> None:
        """See `View.report`."""
        match event:
            case PullStarted() | PushStarted():
                self._screen.titles.append(title_of(event))
                self._screen.waiting = ""
            case Waiting():
                self._screen.waiting = describe_waiting(event)
            case Notice():
                self._screen.titles.append(f"note: {event.text}")
            case LayerProgress():
                self._measure(event)  # what is waited for may be another pull's
            case LayerPush() | PushDone():
                self._screen.waiting = ""
            case _:
                pass
        super().report(event)

    def _measure(self, layer: LayerProgress) -> None:
        """Update the rate, which follows the last few seconds."""
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

    def _rows(self) -> Iterator[Row]:
        for layer in list(self.layers.values()):  # it is drawn in a thread
            yield self._coming(layer) if isinstance(layer, LayerProgress) else _going(layer)

    def _coming(self, layer: LayerProgress) -> Row:
        if layer.phase not in (Phase.DOWNLOADING, Phase.UNPACKING):
            return _row_in_words(layer)
        done = layer.held if layer.phase is Phase.DOWNLOADING else layer.unpacked
        bar, words = bar_of(done, layer.size), self._words(layer, done)
        return Row(layer.digest.short, layer.size, bar, words, is_under_way=done < layer.size)

    def _words(self, layer: LayerProgress, done: int) -> str:
        kept = f" ({size(layer.kept)} kept)" if layer.kept else ""
        rate = self._rates.get(layer.digest, (0.0, 0, 0.0))[2]
        speed = f"  {size(rate)}/s" if layer.phase is Phase.DOWNLOADING and rate else ""
        return f"{size(done)}{kept}{speed}{'  unpacking' if layer.phase is Phase.UNPACKING else ''}"

    def receipt(self, receipt: Receipt | PushReceipt) -> None:
        """See `View.receipt`."""
        self._screen.say(describe_receipt(receipt))

    def close(self) -> None:
        """See `View.close`."""
        self._screen.close()


def _going(layer: LayerPush) -> Row:
    if layer.phase not in (PushPhase.PACKING, PushPhase.PUSHING):
        return _row_in_words(layer)
    words = f"{size(layer.held)}  {layer.phase.value}"
    return Row(layer.diff_id.short, layer.size, bar_of(layer.held, layer.size), words, is_under_way=True)


def _row_in_words(layer: LayerProgress | LayerPush) -> Row:
    is_tried = layer.phase in (Phase.RETRYING, PushPhase.RETRYING)
    return Row(name_of(layer).short, layer.size, text_of(describe(layer)), is_under_way=is_tried)
