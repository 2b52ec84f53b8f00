"""Errors of whole pulls and pushes that have not been completed; what arrived is kept."""

from __future__ import annotations

from headway.errors.request import RequestError
from headway.errors.side import HeadwayError


class PullIncompleteError(HeadwayError):
    """A pull that stopped before its image was complete; what arrived is kept.

    Attributes:
        reference: The image, in its familiar form.
        cause: Why it stopped.
        kept_bytes: Layer bytes that are here and will not be fetched again.
        total_bytes: Bytes of all layers, 0 where the manifest is not known yet.
        whole_layers: Layers that are complete.
        layers: Layers in all.
    """

    def __init__(
        self,
        reference: str,
        cause: HeadwayError,
        *,
        kept_bytes: int = 0,
        total_bytes: int = 0,
        whole_layers: int = 0,
        layers: int = 0,
    ) -> None:
        super().__init__(f"{reference} not complete: {cause}")
        self.reference = reference
        self.cause = cause
        self.side = cause.side
        self.retryable = cause.retryable
        self.kept_bytes = kept_bytes
        self.total_bytes = total_bytes
        self.whole_layers = whole_layers
        self.layers = layers


class OverBudgetError(RequestError):
    """A pull needs more bytes from the network than its budget allows; what has arrived is kept.

    Attributes:
        limit: Bytes that the budget allows.
        spent: Bytes received so far.
        crossing: Bytes that would have to be received in addition; 0 if the budget ran out during the pull.
    """

    brief = "over budget"

    def __init__(self, limit: int, spent: int, crossing: int) -> None:
        before = f" besides the {spent:,} received so far" if spent else ""
        what = f"{crossing:,} more bytes are needed{before}" if crossing else f"{spent:,} bytes were received"
        super().__init__(f"over budget: {what}, and the budget is {limit:,}")
        self.limit = limit
        self.spent = spent
        self.crossing = crossing


class PushIncompleteError(HeadwayError):
    """A push that stopped before its name stood for the image at the registry; what the registry has is not sent again.

    Attributes:
        reference: The image, in its familiar form.
        cause: Why it stopped.
        whole_layers: Layers that the registry has.
        layers: Layers in all.
    """

    def __init__(self, reference: str, cause: HeadwayError, *, whole_layers: int = 0, layers: int = 0) -> None:
        super().__init__(f"{reference} not pushed: {cause}")
        self.reference = reference
        self.cause = cause
        self.side = cause.side
        self.retryable = cause.retryable
        self.whole_layers = whole_layers
        self.layers = layers


class GaveUpError(HeadwayError):
    """A transfer was given up after repeated failures.

    Attributes:
        attempts: Consecutive attempts that brought no new byte.
        cause: The last failure.
    """

    retryable = True

    def __init__(self, attempts: int, cause: HeadwayError) -> None:
        tries = f"{attempts} attempt{'s' if attempts != 1 else ''}"
        super().__init__(f"{cause}; stopped after {tries} without a new byte")
        self.attempts = attempts
        self.cause = cause
        self.side = cause.side


class PullStoppedError(HeadwayError):
    """A durable pull is no longer running: it was paused or cancelled, or its daemon stops; what arrived is kept.

    Attributes:
        pull_id: Its ID.
        state: Its state.
    """

    def __init__(self, pull_id: str, state: str, reason: str = "") -> None:
        super().__init__(f"pull {pull_id} is {state}" + (f": {reason}" if reason else ""))
        self.pull_id = pull_id
        self.state = str(state)
        self.retryable = state != "cancelled"


def root_cause(error: HeadwayError) -> HeadwayError:
    """Return the innermost cause of a failed pull or push."""
    while isinstance(error, PullIncompleteError | PushIncompleteError | GaveUpError):
        error = error.cause
    return error
