"""Progress of a push as Docker's messages (moby-behaviour 2.3 and 3.7), and its errors as docker reports them.

Rule 1: progress bars are keyed by their layer, so that a client that reads slowly gets the latest state only.
Rule 2: a wait is printed as a line that stays, so it is sent once and not every second.
"""

from __future__ import annotations

from headway.engine.failures import AnsweredError
from headway.engine.messages import Detail, Emit, Message, bar, retrying, said, step, waiting
from headway.errors import HeadwayError, NotFoundError, PushIncompleteError, RefusedError
from headway.oci.digest import DiffID
from headway.oci.reference import Reference
from headway.service.pushing.progress import LayerPush, PushDone, PushEvent, PushPhase
from headway.service.transfers.progress import Notice, Waiting, Waits

_ONCE = {
    PushPhase.PREPARING: "Preparing",
    PushPhase.WAITING: "Waiting",
    PushPhase.PUSHED: "Pushed",
    PushPhase.THERE: "Layer already exists",
    PushPhase.SKIPPED: "Skipped foreign layer",
}
_BARS = {PushPhase.PACKING: "Preparing", PushPhase.PUSHING: "Pushing"}


class PushMessages:
    """Turns the events of a push into messages; it may be of several tags, one after the other.

    Args:
        reference: The image that is pushed.
        emit: Called with each message.
    """

    def __init__(self, reference: Reference, emit: Emit) -> None:
        self._emit = emit
        self._waits = Waits()
        self._said: set[tuple[DiffID, str]] = set()
        emit(said(f"The push refers to repository [{reference.repository}]"), "")

    def __call__(self, event: PushEvent) -> None:
        """Emit the messages of one event."""
        match event:
            case Waiting() if self._waits.is_new(event):
                self._emit(waiting(event.cause, event.retry_seconds), event.reference)
            case Notice():
                self._emit(said(event.text), "")
            case LayerPush():
                self._layer(event)
            case PushDone():
                self._said.clear()
                self._emit(said(f"{event.tag}: digest: {event.digest} size: {event.size}"), "")
                aux = {"Tag": event.tag, "Digest": str(event.digest), "Size": event.size}
                self._emit(Message(progress_detail=Detail(), aux=aux), "")
            case _:
                pass

    def _layer(self, event: LayerPush) -> None:
        subject = event.diff_id.short
        if status := _ONCE.get(event.phase):
            self._once(event.diff_id, status)
        elif status := _BARS.get(event.phase):
            self._emit(bar(status, subject, event.held, event.size), subject)
        elif event.phase is PushPhase.MOUNTED:
            self._once(event.diff_id, f"Mounted from {event.source}")
        else:
            self._emit(retrying(event.retry_seconds, subject), subject)

    def _once(self, diff_id: DiffID, status: str) -> None:
        if (diff_id, status) not in self._said:
            self._said.add((diff_id, status))
            self._emit(step(status, diff_id.short), "")


def push_error(error: HeadwayError) -> HeadwayError:
    """Return the error to answer a push with: a refusal keeps the registry's words, which scripts look for."""
    cause = error.cause if isinstance(error, PushIncompleteError) else error
    match cause:
        case RefusedError(code="DENIED"):
            return AnsweredError(500, cause.said or "denied: requested access to the resource is denied")
        case RefusedError():
            return AnsweredError(500, cause.said or str(cause))
        case NotFoundError():
            return AnsweredError(404, str(cause))
    return error
