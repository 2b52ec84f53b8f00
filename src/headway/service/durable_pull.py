"""One durable pull in this process: its record, who watches it, and what it tells them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from headway.distribution.credentials import Credentials
from headway.distribution.pull_states import Change, Claim, PullState, changed
from headway.errors import HeadwayError
from headway.interfaces.pulls import PullRecord
from headway.oci.digest import Digest
from headway.service.progress import LayerProgress, Notice, Phase, PullDone, PullEvent, PullStarted, Report, Waiting

_ACTIVE = (Phase.DOWNLOADING, Phase.UNPACKING)


class DurablePull:
    """A pull that has not ended, or is about to.

    Args:
        record: As it is now.
        login: Who asks; None for what this machine knows.
        note: Takes every record that is to be kept.
        clock: Seconds since the epoch.

    Attributes:
        record: As it is now.
        login: Who asks.
        watchers: Told everything.
        task: What brings it at the moment.
        failures: Attempts in a row that brought no byte.
    """

    def __init__(
        self,
        record: PullRecord,
        login: Credentials | None,
        note: Callable[[PullRecord], None],
        clock: Callable[[], float],
    ) -> None:
        self.record = record
        self.login = login
        self.watchers: list[Report] = []
        self.task: asyncio.Task[None] | None = None
        self.failures = 0
        self._note = note
        self._clock = clock
        self._ended: asyncio.Future[PullDone | HeadwayError] = asyncio.get_running_loop().create_future()
        self._started: PullStarted | None = None
        self._layers: dict[Digest, LayerProgress] = {}
        self._waits = ""

    @property
    def claim(self) -> Claim:
        """What it claims of the link."""
        return Claim(self.record.pull_id, self.record.wish.priority, self.record.state)

    @property
    def shown(self) -> PullRecord:
        """The record with what is known of the running attempt."""
        if self.record.state is not PullState.RUNNING:
            return self.record
        if not self._waits or any(layer.phase in _ACTIVE for layer in self._layers.values()):
            return self._progressed(self.record)
        waiting = msgspec.structs.replace(self.record, state=PullState.WAITING_FOR_LINK, reason=self._waits)
        return self._progressed(waiting)

    @property
    def received(self) -> int:
        """Bytes that crossed the network for its layers in this attempt."""
        return sum(layer.received for layer in self._layers.values())

    def change(self, what: Change, reason: str = "") -> None:
        """Bring it into its next state, and have that recorded.

        Raises:
            ConflictError: That cannot happen now.
        """
        state = changed(self.record.state, what, f"pull {self.record.pull_id}")
        self.update(state=state, reason=reason, changed=self._clock())

    def update(self, **fields: object) -> None:
        """Change the record, and have that recorded."""
        self.record = self._progressed(msgspec.structs.replace(self.record, **fields))
        self._note(self.record)

    def begin_attempt(self) -> None:
        """Forget what the attempt before has told."""
        self._started, self._layers, self._waits = None, {}, ""

    def _progressed(self, record: PullRecord) -> PullRecord:
        if self._started is None:
            return record
        return msgspec.structs.replace(
            record,
            digest=self._started.digest,
            held=sum(layer.held for layer in self._layers.values()),
            size=sum(size for _, size in self._started.layers),
            received=self.received,
        )

    # --- who watches ---

    def report(self, event: PullEvent) -> None:
        """Tell everybody; what who comes later needs is kept."""
        match event:
            case PullStarted():
                self._started, self._waits = event, ""
            case LayerProgress():
                self._layers[event.digest] = event
                self._waits = event.cause if event.phase is Phase.RETRYING and event.retry_seconds >= 1 else self._waits
                if event.phase in _ACTIVE:
                    self._waits = ""
            case Waiting():
                self._waits = event.cause
            case _:
                pass
        for watcher in tuple(self.watchers):
            watcher(event)

    def say(self, text: str) -> None:
        """Tell everybody a sentence."""
        self.report(Notice(self.record.wish.reference, text))

    def join(self, watcher: Report) -> None:
        """Let somebody watch, who is told at once how far it is."""
        self.watchers.append(watcher)
        if self._started is not None:
            watcher(self._started)
        for layer in self._layers.values():
            watcher(layer)

    def end(self, outcome: PullDone | HeadwayError) -> None:
        """Let everybody who waits have the outcome."""
        if not self._ended.done():
            self._ended.set_result(outcome)

    async def outcome(self) -> PullDone | HeadwayError:
        """Wait for the end."""
        return await asyncio.shield(self._ended)
