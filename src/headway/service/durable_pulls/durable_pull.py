"""One durable pull in this process: its record, its state, its watchers, and what they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from headway.distribution.credentials import Credentials
from headway.distribution.pull_states import Change, Claim, PullState, changed
from headway.errors import HeadwayError
from headway.interfaces.pulls import PullCost, PullRecord
from headway.interfaces.traffic import Account
from headway.oci.digest import Digest
from headway.service.durable_pulls.state_times import StateTimes
from headway.service.transfers.progress import (
    LayerProgress,
    Notice,
    Phase,
    PullDone,
    PullEvent,
    PullStarted,
    Report,
    Waiting,
)

_STOPPED = (PullState.PAUSED, PullState.WAITING_FOR_CREDENTIALS, PullState.QUEUED)
_ACTIVE = (Phase.DOWNLOADING, Phase.UNPACKING)
YIELD_SECONDS = 5.0
"""How long a running pull may wait for its link before it stops holding others back: every link has shorter waits."""


class DurablePull:
    """A pull that has not ended yet.

    Args:
        record: Its record so far.
        login: Credentials that came with the request; None for those of this machine.
        note: Called with every new version of the record, to be stored.
        clock: Seconds since the epoch.
        ticks: Seconds that nobody sets.

    Attributes:
        record: Its current record.
        login: As above.
        found: Digest that planning has just resolved its reference to; the next attempt uses it, and then it is None.
        watchers: Called with every event.
        task: The running attempt; None between attempts.
        failures: Attempts in a row that brought no byte.
        account: Counts the bytes it costs.
    """

    def __init__(
        self,
        record: PullRecord,
        login: Credentials | None,
        note: Callable[[PullRecord], None],
        clock: Callable[[], float],
        ticks: Callable[[], float],
    ) -> None:
        self.record = record
        self.login = login
        self.found: Digest | None = None
        self.watchers: list[Report] = []
        self.task: asyncio.Task[None] | None = None
        self.failures = 0
        self._note = note
        self._clock = clock
        self._ticks = ticks
        self._ended: asyncio.Future[PullDone | HeadwayError] = asyncio.get_running_loop().create_future()
        self._started: PullStarted | None = None
        self._layers: dict[Digest, LayerProgress] = {}
        self._waits = ""
        self._waiting_since: float | None = None
        cost = record.cost
        self.account = Account(cost.sources, cost.useful, cost.retries)
        self.account.reused = record.reused
        self._times = StateTimes(cost, clock, ticks, is_stopped=record.state in _STOPPED)

    @property
    def claim(self) -> Claim:
        """Its claim on the link, which lapses once it has waited `YIELD_SECONDS`, until more of a layer arrives."""
        since, state = self._waiting_since, self.record.state
        if state is PullState.RUNNING and since is not None and self._ticks() - since >= YIELD_SECONDS:
            state = PullState.WAITING_FOR_LINK
        return Claim(self.record.pull_id, self.record.wish.priority, state)

    @property
    def shown(self) -> PullRecord:
        """The record, brought up to date with the running attempt."""
        self._tally()
        state = self._standing
        reason = self.record.reason if state is self.record.state else self._waits
        return self._progressed(msgspec.structs.replace(self.record, state=state, reason=reason))

    @property
    def _standing(self) -> PullState:
        """Its state, where an attempt that only waits for the link counts as waiting, not as running."""
        state = self.record.state
        if state is not PullState.RUNNING or not self._waits:
            return state
        is_active = any(layer.phase in _ACTIVE for layer in self._layers.values())
        return state if is_active else PullState.WAITING_FOR_LINK

    def _tally(self) -> None:
        is_receiving = any(layer.phase is Phase.DOWNLOADING for layer in self._layers.values())
        self._times.pass_in(self._standing, is_receiving=is_receiving and self.record.state is PullState.RUNNING)

    @property
    def received(self) -> int:
        """Bytes that crossed the network for its layers in this attempt."""
        return sum(layer.received for layer in self._layers.values())

    def change(self, what: Change, reason: str = "") -> None:
        """Move to the next state, and record it.

        Raises:
            ConflictError: The change is not possible in the current state.
        """
        state = changed(self.record.state, what, f"pull {self.record.pull_id}")
        self._tally()
        self.update(state=state, reason=reason, changed=self._clock())

    def update(self, **fields: object) -> None:
        """Change the record, and have that recorded."""
        self._set(**fields)
        self._note(self.record)

    def _set(self, **fields: object) -> None:
        self.record = self._progressed(msgspec.structs.replace(self.record, **fields))
        self.account.reused = self.record.reused

    def begin_attempt(self) -> None:
        """Forget the progress of the previous attempt."""
        self._started, self._layers, self._waits, self._waiting_since = None, {}, "", None

    def complete(self, done: PullDone) -> None:
        """Record the result of the last attempt; bytes that earlier attempts fetched count as needed, too."""
        receipt = done.receipt
        self.update(image_id=done.image_id, needed=receipt.needed + receipt.here - self.record.reused)

    def note_cost(self) -> None:
        """Record its cost so far, if that has changed."""
        if self.account.received_bytes != self.record.cost.received:
            self.update()

    def _progressed(self, record: PullRecord) -> PullRecord:
        account = self.account
        cost = PullCost(
            sources={host: count for host, count in dict(account.sources).items() if count},
            useful=account.useful,
            retries=dict(account.retries),
            seconds=self._times.seconds,
            receiving_seconds=self._times.receiving_seconds,
            counted=self._times.counted,
        )
        if self._started is None:
            return msgspec.structs.replace(record, cost=cost)
        return msgspec.structs.replace(
            record,
            cost=cost,
            digest=self._started.digest,
            held=sum(layer.held for layer in self._layers.values()),
            size=sum(size for _, size in self._started.layers),
        )

    # --- watchers ---

    def report(self, event: PullEvent) -> None:
        """Pass an event to every watcher, and keep what a watcher that joins later needs to know."""
        self._tally()
        match event:
            case PullStarted():
                self._begin(event)
            case LayerProgress():
                before = self._layers.get(event.digest)
                if before is None or event.held > before.held:
                    self._waiting_since = None
                self._layers[event.digest] = event
                self._found(event)
                self._waits = event.cause if event.phase is Phase.RETRYING and event.retry_seconds >= 1 else self._waits
                if event.phase in _ACTIVE:
                    self._waits = ""
            case Waiting():
                self._waits = event.cause
            case _:
                pass
        if self._standing is PullState.WAITING_FOR_LINK and self._waiting_since is None:
            self._waiting_since = self._ticks()
        for watcher in tuple(self.watchers):
            watcher(event)

    def _begin(self, started: PullStarted) -> None:
        """Take note of the image; even within one attempt a tag may move, and the image be another one."""
        self._started, self._layers, self._waits, self._waiting_since = started, {}, "", None
        wanted = dict(started.layers)
        if not self.record.found.keys() <= wanted.keys():
            self.update(found={digest: held for digest, held in self.record.found.items() if digest in wanted})

    def _found(self, layer: LayerProgress) -> None:
        """Have recorded what was here of a layer before anything was done for it.

        What is here whole, a later attempt finds here, too: for that alone nothing is written.
        """
        if layer.digest in self.record.found:
            return
        self._set(found={**self.record.found, layer.digest: layer.held})
        if layer.held < layer.size:
            self._note(self.record)

    def say(self, text: str) -> None:
        """Pass a sentence to every watcher."""
        self.report(Notice(self.record.wish.reference, text))

    def join(self, watcher: Report) -> None:
        """Add a watcher; if an attempt is running, tell it at once how far that is."""
        self.watchers.append(watcher)
        if self.record.state is not PullState.RUNNING:
            return
        if self._started is not None:
            watcher(self._started)
        for layer in self._layers.values():
            watcher(layer)

    def end(self, outcome: PullDone | HeadwayError) -> None:
        """Give the outcome to all who wait for it; only the first outcome counts."""
        if not self._ended.done():
            self._ended.set_result(outcome)

    async def outcome(self) -> PullDone | HeadwayError:
        """Wait for the end, and return how it ended."""
        return await asyncio.shield(self._ended)
