"""How a push is shown on stderr: live on a terminal, as lines otherwise, or as JSON."""

from __future__ import annotations

from typing import TextIO

from headway.cli.progress import describe_retries, describe_waiting, json_line
from headway.cli.terminal import can_draw, one_line
from headway.cli.units import duration, size
from headway.oci.digest import DiffID
from headway.service.progress import Notice, Waiting, Waits
from headway.service.push_progress import LayerPush, PushEvent, PushPhase, PushReceipt, PushStarted


def push_view_for(how: str, stream: TextIO) -> PushView:
    """Return the view for ``auto``, ``plain``, ``json`` or ``none``."""
    if how == "auto" and can_draw(stream):
        from headway.cli.live_push import LivePush  # noqa: PLC0415  # rich costs 60 ms of CPU: only for terminals

        return LivePush(stream)
    return {"json": JsonPush, "none": PushView}.get(how, PlainPush)(stream)


class PushView:
    """Shows nothing, and remembers where each layer stands; those that show something are made of it.

    Attributes:
        stream: Where it shows what it does.
        layers: Where each stands.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.layers: dict[DiffID, LayerPush] = {}

    def report(self, event: PushEvent) -> None:
        """Take in one event."""
        if isinstance(event, LayerPush):
            self.layers[event.diff_id] = event

    def receipt(self, receipt: PushReceipt) -> None:
        """Show what a push cost."""

    def close(self) -> None:
        """End the display; what is said next stands below it."""


class JsonPush(PushView):
    """One JSON object a line: the event's fields, and its kind as ``type``."""

    def report(self, event: PushEvent) -> None:
        """See `PushView.report`."""
        super().report(event)
        self.stream.write(json_line(event))
        self.stream.flush()


class PlainPush(PushView):
    """A line whenever something begins, fails or ends."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waits = Waits()

    def report(self, event: PushEvent) -> None:
        """See `PushView.report`."""
        match event:
            case PushStarted():
                self._line(f"{event.reference}  to {event.repository}")
            case Waiting() if self._waits.is_new(event):
                self._line(describe_waiting(event))
            case Notice():
                self._line(f"note: {event.text}")
            case LayerPush():
                before = self.layers.get(event.diff_id)
                if event.phase not in _UNTOLD and (before is None or before.phase != event.phase):
                    self._line(f"  {event.diff_id.short}  {size(event.size):>8}  {describe(event)}")
            case _:
                pass
        super().report(event)

    def receipt(self, receipt: PushReceipt) -> None:
        """See `PushView.receipt`."""
        self._line(describe_receipt(receipt))

    def _line(self, text: str) -> None:
        self.stream.write(one_line(text) + "\n")
        self.stream.flush()


_UNTOLD = (PushPhase.PREPARING, PushPhase.WAITING)


def describe(layer: LayerPush) -> str:
    """Return a layer's state in words."""
    match layer.phase:
        case PushPhase.RETRYING:
            return (
                f"{layer.cause}; {size(layer.held)} sent; next try in {duration(layer.retry_seconds)}"
                f" (attempt {layer.attempts} without a new byte)"
            )
        case PushPhase.MOUNTED:
            return f"mounted from {layer.source}"
        case PushPhase.SKIPPED:
            return "not distributable, stays where it is"
        case phase:
            return phase.value


def describe_receipt(receipt: PushReceipt) -> str:
    """Return what a push cost, in one line."""
    ratio = f" ({receipt.sent / receipt.needed:.3f})" if receipt.needed else ""
    return (
        f"needed {size(receipt.needed)}   sent {size(receipt.sent)}{ratio}   already there {size(receipt.there)}"
        f"   retries {describe_retries(receipt.retries)}   {duration(receipt.seconds)}"
    )
