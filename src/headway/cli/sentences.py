"""Sentences about running pulls and pushes, and about what they cost."""

from __future__ import annotations

from collections.abc import Mapping

from headway.cli.units import duration, size
from headway.errors import Fault
from headway.service.pushing.progress import LayerPush, PushPhase, PushReceipt, PushStarted
from headway.service.transfers.progress import LayerProgress, Phase, PullStarted, Receipt, Waiting


def title_of(event: PullStarted | PushStarted) -> str:
    """Return what is brought, and for whom or where to."""
    where = event.platform if isinstance(event, PullStarted) else f"to {event.repository}"
    return f"{event.reference}  {where}"


def describe_waiting(waiting: Waiting) -> str:
    """Return what is waited for."""
    return f"waiting for the link: {waiting.cause}; nothing is lost; next try in {duration(waiting.retry_seconds)}"


def describe(layer: LayerProgress | LayerPush) -> str:
    """Return a layer's state in words."""
    return _coming(layer) if isinstance(layer, LayerProgress) else _going(layer)


def _coming(layer: LayerProgress) -> str:
    kept = f" ({size(layer.kept)} kept from before)" if layer.kept else ""
    match layer.phase:
        case Phase.HERE:
            return "already here"
        case Phase.DOWNLOADING:
            return f"downloading{kept}"
        case Phase.RETRYING:
            return _retrying(layer, "kept")
        case Phase.DONE:
            return "whole, unpacked"
        case Phase.UNPACKING:
            return "whole, unpacking"
        case Phase.WAITING:
            return f"waiting{kept}"


def _going(layer: LayerPush) -> str:
    match layer.phase:
        case PushPhase.RETRYING:
            return _retrying(layer, "sent")
        case PushPhase.MOUNTED:
            return f"mounted from {layer.source}"
        case PushPhase.SKIPPED:
            return "not distributable, stays where it is"
        case phase:
            return phase.value


def _retrying(layer: LayerProgress | LayerPush, held: str) -> str:
    return (
        f"{layer.cause}; {size(layer.held)} {held}; next try in {duration(layer.retry_seconds)}"
        f" (attempt {layer.attempts} without a new byte)"
    )


def describe_receipt(receipt: Receipt | PushReceipt) -> str:
    """Return what a pull or a push cost, in one line."""
    if isinstance(receipt, Receipt):
        done, crossed, here = "received", receipt.received, f"already here {size(receipt.here)}"
        quotas = "".join(f"   quota {quota.words()} at {host}" for host, quota in receipt.quotas.items())
    else:
        done, crossed, here, quotas = "sent", receipt.sent, f"already there {size(receipt.there)}", ""
    ratio = f" ({crossed / receipt.needed:.3f})" if receipt.needed else ""
    return (
        f"needed {size(receipt.needed)}   {done} {size(crossed)}{ratio}   {here}"
        f"   retries {_retries(receipt.retries)}   {duration(receipt.seconds)}{quotas}"
    )


def _retries(retries: Mapping[str, int]) -> str:
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
