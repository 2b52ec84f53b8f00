"""Shows a pull or a push on stderr: live on a terminal, otherwise as lines, or as JSON."""

from __future__ import annotations

from typing import TextIO

import msgspec

from headway.cli.sentences import describe, describe_receipt, describe_waiting, title_of
from headway.cli.terminal import can_draw, one_line
from headway.cli.units import size
from headway.oci.digest import Digest
from headway.service.pushing.progress import LayerPush, PushEvent, PushPhase, PushReceipt, PushStarted
from headway.service.transfers.progress import (
    LayerProgress,
    Notice,
    Phase,
    PullEvent,
    PullStarted,
    Receipt,
    Waiting,
    Waits,
)

_UNTOLD = (Phase.WAITING, Phase.UNPACKING, PushPhase.WAITING, PushPhase.PREPARING)


def view_for(how: str, stream: TextIO) -> View:
    """Return the view for ``auto``, ``plain``, ``json`` or ``none``."""
    if how == "auto" and can_draw(stream):
        from headway.cli.live import LiveView  # noqa: PLC0415  # rich costs 60 ms of CPU: only for terminals

        return LiveView(stream)
    return {"json": JsonView, "none": View}.get(how, PlainView)(stream)


def name_of(layer: LayerProgress | LayerPush) -> Digest:
    """Return the key of a layer within its image."""
    return layer.digest if isinstance(layer, LayerProgress) else layer.diff_id


class View:
    """Shows nothing, but remembers the state of each layer; the base of the views that show something.

    Attributes:
        stream: Where it shows the progress.
        layers: The state of each layer.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.layers: dict[Digest, LayerProgress | LayerPush] = {}

    def report(self, event: PullEvent | PushEvent) -> None:
        """Take in one event."""
        if isinstance(event, LayerProgress | LayerPush):
            self.layers[name_of(event)] = event

    def kept(self) -> str:
        """Return, in words, what is kept of a pull so far."""
        if not self.layers:
            return "nothing new had arrived yet"
        held, total = (sum(getattr(layer, name) for layer in self.layers.values()) for name in ("held", "size"))
        return f"{size(held)} of {size(total)} kept; the same command goes on from there"

    def receipt(self, receipt: Receipt | PushReceipt) -> None:
        """Show what it cost."""

    def close(self) -> None:
        """End the display; later output goes below it."""


class JsonView(View):
    """One JSON object per line: the event's fields, and its kind as ``type``."""

    def report(self, event: PullEvent | PushEvent) -> None:
        """See `View.report`."""
        super().report(event)
        document = {"type": type(event).__name__, **msgspec.to_builtins(event, enc_hook=str)}
        self.stream.write(msgspec.json.encode(document).decode() + "\n")
        self.stream.flush()


class PlainView(View):
    """A line whenever something begins, fails or ends."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waits = Waits()

    def report(self, event: PullEvent | PushEvent) -> None:
        """See `View.report`."""
        match event:
            case PullStarted() | PushStarted():
                self._line(title_of(event))
            case Waiting() if self._waits.is_new(event):
                self._line(describe_waiting(event))
            case Notice():
                self._line(f"note: {event.text}")
            case LayerProgress() | LayerPush():
                self._layer(event)
            case _:
                pass
        super().report(event)

    def _layer(self, layer: LayerProgress | LayerPush) -> None:
        name = name_of(layer)
        before = self.layers.get(name)
        if layer.phase not in _UNTOLD and (before is None or before.phase != layer.phase):
            self._line(f"  {name.short}  {size(layer.size):>8}  {describe(layer)}")

    def receipt(self, receipt: Receipt | PushReceipt) -> None:
        """See `View.receipt`."""
        self._line(describe_receipt(receipt))

    def _line(self, text: str) -> None:
        self.stream.write(one_line(text) + "\n")
        self.stream.flush()
