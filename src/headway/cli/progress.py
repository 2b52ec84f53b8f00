"""How a pull is shown on stderr: live on a terminal, as lines otherwise, or as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

import msgspec

from headway.cli.terminal import can_draw, one_line
from headway.cli.units import duration, size
from headway.errors import Fault
from headway.oci.digest import Digest
from headway.service.progress import LayerProgress, Notice, Phase, PullEvent, PullStarted, Receipt, Waiting, Waits


def view_for(how: str, stream: TextIO) -> View:
    """Return the view for ``auto``, ``plain``, ``json`` or ``none``."""
    if how == "auto" and can_draw(stream):
        from headway.cli.live import LiveView  # noqa: PLC0415  # rich costs 60 ms of CPU: only for terminals

        return LiveView(stream)
    return {"json": JsonView, "none": View}.get(how, PlainView)(stream)


class View:
    """Shows nothing, and remembers what is kept; those that show something are made of it.

    Attributes:
        stream: Where it shows what it does.
        layers: Where each stands.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.layers: dict[Digest, LayerProgress] = {}

    def report(self, event: PullEvent) -> None:
        """Take in one event."""
        if isinstance(event, LayerProgress):
            self.layers[event.digest] = event

    def kept(self) -> str:
        """Return what is kept so far, as words."""
        if not self.layers:
            return "nothing new had arrived yet"
        held, total = (sum(getattr(layer, name) for layer in self.layers.values()) for name in ("held", "size"))
        return f"{size(held)} of {size(total)} kept; the same command goes on from there"

    def receipt(self, receipt: Receipt) -> None:
        """Show what a pull cost."""

    def close(self) -> None:
        """End the display; what is said next stands below it."""


class JsonView(View):
    """One JSON object a line: the event's fields, and its kind as ``type``."""

    def report(self, event: PullEvent) -> None:
        """See `View.report`."""
        super().report(event)
        self.stream.write(json_line(event))
        self.stream.flush()


class PlainView(View):
    """A line whenever something begins, fails or ends."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waits = Waits()

    def report(self, event: PullEvent) -> None:
        """See `View.report`."""
        match event:
            case PullStarted():
                self._line(f"{event.reference}  {event.platform}")
            case Waiting() if self._waits.is_new(event):
                self._line(describe_waiting(event))
            case Notice():
                self._line(f"note: {event.text}")
            case LayerProgress():
                before = self.layers.get(event.digest)
                if before is None or before.phase != event.phase:
                    self._layer(event)
            case _:
                pass
        super().report(event)

    def _layer(self, layer: LayerProgress) -> None:
        if layer.phase in (Phase.WAITING, Phase.UNPACKING):
            return
        self._line(f"  {layer.digest.short}  {size(layer.size):>8}  {describe(layer)}")

    def receipt(self, receipt: Receipt) -> None:
        """See `View.receipt`."""
        self._line(describe_receipt(receipt))

    def _line(self, text: str) -> None:
        self.stream.write(one_line(text) + "\n")
        self.stream.flush()


def json_line(event: object) -> str:
    """Return an event as a line of JSON: its fields, and its kind as ``type``."""
    document = {"type": type(event).__name__, **msgspec.to_builtins(event, enc_hook=str)}
    return msgspec.json.encode(document).decode() + "\n"


def describe_waiting(waiting: Waiting) -> str:
    """Return what is waited for."""
    return f"waiting for the link: {waiting.cause}; nothing is lost; next try in {duration(waiting.retry_seconds)}"


def describe(layer: LayerProgress) -> str:
    """Return a layer's state in words."""
    kept = f" ({size(layer.kept)} kept from before)" if layer.kept else ""
    match layer.phase:
        case Phase.HERE:
            return "already here"
        case Phase.DOWNLOADING:
            return f"downloading{kept}"
        case Phase.RETRYING:
            return (
                f"{layer.cause}; {size(layer.held)} kept; next try in {duration(layer.retry_seconds)}"
                f" (attempt {layer.attempts} without a new byte)"
            )
        case Phase.DONE:
            return "whole, unpacked"
        case Phase.UNPACKING:
            return "whole, unpacking"
        case Phase.WAITING:
            return f"waiting{kept}"


def describe_receipt(receipt: Receipt) -> str:
    """Return what a pull cost, in one line."""
    ratio = f" ({receipt.received / receipt.needed:.3f})" if receipt.needed else ""
    quotas = "".join(f"   quota {quota.words()} at {host}" for host, quota in receipt.quotas.items())
    return (
        f"needed {size(receipt.needed)}   received {size(receipt.received)}{ratio}   already here {size(receipt.here)}"
        f"   retries {describe_retries(receipt.retries)}   {duration(receipt.seconds)}{quotas}"
    )


def describe_retries(retries: Mapping[str, int]) -> str:
    """Return how often something was tried again, and why: ``4 (3 cut, 1 no route)``."""
    causes = ", ".join(f"{count} {_COUNTED_AS.get(cause, cause)}" for cause, count in retries.items())
    return f"{sum(retries.values())} ({causes})" if causes else "0"


_COUNTED_AS: Mapping[str, str] = {
    Fault.CUT: "cut",
    Fault.STALLED: "silent",
    Fault.REFUSED: "refused",
    Fault.FORBIDDEN: "forbidden here",
    Fault.TIMEOUT: "no answer",
    Fault.UNKNOWN_NAME: "unknown name",
    Fault.LED_NOWHERE: "led nowhere",
    Fault.NO_DNS: "no name server",
    Fault.CERTIFICATE: "certificate",
    Fault.CLOCK: "wrong clock",
    Fault.PROXY: "proxy",
}
"""Causes whose sentences do not stand behind a number."""
