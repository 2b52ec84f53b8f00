"""Starts and stops the attempts of durable pulls, as distribution/pull_states.py decides.

Rule 1: what a change starts or stops follows from the new states alone (`PullRuns.give_turns`), whoever made it.
Rule 2: the cost of an attempt counts for its pull, however the attempt ended; a kill can lose the last second's count.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import msgspec

from headway.distribution.credentials import Credentials
from headway.distribution.pull_states import Change, PullState, after_failure, after_restart, turn
from headway.errors import HeadwayError, PullStoppedError
from headway.interfaces.pulls import PullRecord, PullStore, Wish
from headway.interfaces.traffic import charged_to
from headway.service.bugs import bug_logged, foreseen
from headway.service.durable_pulls.durable_pull import DurablePull
from headway.service.durable_pulls.ledger import PullLedger
from headway.service.transfers.progress import PullDone, Report

log = logging.getLogger(__name__)

Bring = Callable[[Wish, Credentials | None, Report], Awaitable[PullDone]]
"""Makes one attempt to pull an image."""

DAEMON_STOPPED = "the daemon stopped"
COMMAND_ENDED = "its command ended"
NO_LOGIN = "its login came with the request and is not kept: resume it, or pull again, with one"
RECORD_SECONDS = 1.0


class PullCounts:
    """Counts of a process's pulls since it began.

    Attributes:
        ended: The number of pulls by the state that they ended in.
        reused: Bytes that complete pulls found here already, before their first attempt.
    """

    def __init__(self) -> None:
        self.ended: Counter[PullState] = Counter({state: 0 for state in PullState if state.has_ended})
        self.reused = 0

    def has_ended(self, state: PullState, reused: int) -> None:
        """Count a pull that ended, and the bytes that it did not have to fetch."""
        self.ended[state] += 1
        self.reused += reused


class PullRuns:
    """The pulls of one process that have not ended, and the attempts to bring them.

    Args:
        store: Where they are recorded.
        bring: Brings an image.
        group: Owns what runs.
        clock: Seconds since the epoch.
        ticks: Seconds that nobody sets.

    Attributes:
        live: Those that have not ended, by ID.
        ledger: Writes records.
        counts: Counts of pulls since this process began.
        is_stopping: Whether no attempt is begun any more.
    """

    def __init__(
        self,
        store: PullStore,
        bring: Bring,
        *,
        group: asyncio.TaskGroup,
        clock: Callable[[], float],
        ticks: Callable[[], float],
    ) -> None:
        self.live: dict[str, DurablePull] = {}
        self.ledger = PullLedger(store)
        self.counts = PullCounts()
        self.is_stopping = False
        self._store = store
        self._bring = bring
        self._group = group
        self._clock = clock
        self._ticks = ticks
        self._keepers: list[asyncio.Task[None]] = []

    def keep(self, pull: DurablePull) -> None:
        """Add a pull to those that may run."""
        self.live[pull.record.pull_id] = pull

    def of(self, record: PullRecord, login: Credentials | None = None) -> DurablePull:
        """Return the pull of a record."""
        return DurablePull(record, login, self.ledger.note, self._clock, self._ticks)

    def change(self, pull: DurablePull, change: Change, reason: str = "") -> None:
        """Change a pull's state, then give turns, since others may go on now."""
        self._put(pull, change, reason)
        self.give_turns()

    def _put(self, pull: DurablePull, change: Change, reason: str) -> None:
        """Change a pull's state, and stop its attempt if that is no longer wanted."""
        pull.change(change, reason)
        state = pull.record.state
        log.info(
            "pull %s (%s) is %s%s", pull.record.pull_id, pull.record.wish.reference, state, reason and f": {reason}"
        )
        if state is not PullState.RUNNING and pull.task is not None:
            pull.task.cancel()
        if state is PullState.CANCELLED:
            self._end(pull, PullStoppedError(pull.record.pull_id, state, reason))
        elif not state.has_ended:
            pull.say(f"pull {pull.record.pull_id} is {state}{reason and f' ({reason})'}")

    def _end(self, pull: DurablePull, outcome: PullDone | HeadwayError) -> None:
        self.live.pop(pull.record.pull_id, None)
        if pull.record.state.has_ended:
            self.counts.has_ended(pull.record.state, pull.record.reused if isinstance(outcome, PullDone) else 0)
        pull.end(outcome)

    def give_turns(self) -> None:
        """Begin and preempt attempts as the states require; the only place where attempts are started."""
        if self.is_stopping:
            return
        decided = turn(pull.claim for pull in self.live.values())
        for pull_id in decided.preempt:
            self._put(self.live[pull_id], Change.PREEMPT, "another one goes first")
        for pull_id in decided.begin:
            pull = self.live[pull_id]
            if pull.task is None:  # else it is just ending, and its end gives turns again
                pull.change(Change.BEGIN)
                pull.begin_attempt()  # before anybody joins who would be told of the last one
                pull.task = self._group.create_task(self._run(pull))
                pull.task.add_done_callback(partial(self._ended_unbegun, pull))

    def _ended_unbegun(self, pull: DurablePull, task: asyncio.Task[None]) -> None:
        """Give another turn to a pull whose task was cancelled before it ran at all."""
        if pull.task is task:
            pull.task = None
            self.give_turns()

    async def _run(self, pull: DurablePull) -> None:
        """Make one attempt. It never raises: a failed pull must not bring down the task group."""
        outcome = await self._outcome(pull)
        pull.task = None
        if self.live.get(pull.record.pull_id, pull) is pull:  # else it was cancelled, and is resumed as another already
            pull.note_cost()  # what still came while it ended
        if isinstance(outcome, PullDone):
            self._completed(pull, outcome)
        elif outcome is not None:
            self._failed(pull, outcome)
        self.give_turns()

    async def _outcome(self, pull: DurablePull) -> PullDone | HeadwayError | None:
        """Return how an attempt ended; None if it was cancelled: whoever did that has set the pull's state."""
        wish, pull.found = msgspec.structs.replace(pull.record.wish, digest=pull.found), None
        try:
            with charged_to(pull.account):
                return await self._bring(wish, pull.login, pull.report)
        except asyncio.CancelledError:
            return None
        except HeadwayError as error:
            return error
        except Exception as error:
            mistake = foreseen(error) or HeadwayError(bug_logged(error))
            mistake.__cause__ = error
            return mistake

    def _completed(self, pull: DurablePull, done: PullDone) -> None:
        if pull.record.state is not PullState.RUNNING:
            pull.change(Change.RESUME)  # it was done before it could be stopped
            pull.change(Change.BEGIN)
        pull.complete(done)
        self.change(pull, Change.FINISH)
        self._end(pull, done)

    def _failed(self, pull: DurablePull, error: HeadwayError) -> None:
        if pull.record.state is not PullState.RUNNING:
            return  # somebody stopped it just then, and has said what becomes of it
        wish = pull.record.wish
        pull.failures = 0 if pull.received else pull.failures + 1
        after = after_failure(
            error,
            goes_on=wish.goes_on,
            lacks_login=pull.record.had_login and pull.login is None,
            failures=pull.failures,
        )
        reason = NO_LOGIN if after.change is Change.REFUSE else str(error)
        self.change(pull, after.change, reason)
        if after.change is Change.FAIL:
            self._end(pull, error)
        elif after.change is Change.LOSE_LINK:
            asyncio.get_running_loop().call_later(after.wait_seconds, self._try_again, pull, pull.record.changed)

    def _try_again(self, pull: DurablePull, since: float) -> None:
        if pull.record.state is PullState.WAITING_FOR_LINK and pull.record.changed == since and not self.is_stopping:
            self.change(pull, Change.RESUME)

    # --- the process's begin and end ---

    async def take_up(self, has_login: Callable[[str], bool]) -> None:
        """Go on with the pulls that the previous process left.

        Args:
            has_login: Tells whether this process knows a login for an image.
        """
        for record in await self._begin():
            lacks_login = record.had_login and not await asyncio.to_thread(has_login, record.wish.reference)
            state = after_restart(record.state, detached=record.wish.detached, lacks_login=lacks_login)
            reason = {PullState.PAUSED: DAEMON_STOPPED, PullState.WAITING_FOR_CREDENTIALS: NO_LOGIN}.get(state, "")
            self._take_up(record, state, reason)
        self.give_turns()
        await self.ledger.settle()

    async def take_up_stopped(self) -> None:
        """Read the pulls that others left unfinished, and begin none; detached ones are left for a daemon."""
        for record in await self._begin():
            if not record.wish.detached:
                self._take_up(record, PullState.PAUSED, COMMAND_ENDED)

    async def _begin(self) -> list[PullRecord]:
        self._keepers = [self._group.create_task(keep()) for keep in (self.ledger.keep, self._look_after)]
        return [record for record in await asyncio.to_thread(self._store.list) if not record.state.has_ended]

    def _take_up(self, record: PullRecord, state: PullState, reason: str) -> None:
        pull = self.of(record)
        self.keep(pull)
        if state is not record.state:
            pull.update(state=state, reason=reason, changed=self._clock())

    async def _look_after(self) -> None:
        """Until cancelled, record what running pulls cost, and let others go on while those wait for their link."""
        while True:
            await asyncio.sleep(RECORD_SECONDS)
            for pull in self.live.values():
                pull.note_cost()
            self.give_turns()

    async def stop(self) -> None:
        """Stop every attempt and keep every byte; the next process goes on with them. May be called again."""
        self.is_stopping = True
        running = [pull.task for pull in self.live.values() if pull.task is not None]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        for pull in tuple(self.live.values()):
            self.leave(pull)
        await self.ledger.settle()
        for keeper in self._keepers:
            keeper.cancel()  # not before: it may be writing

    def leave(self, pull: DurablePull) -> None:
        """Leave a pull that does not run to the next process, and tell those who wait for it."""
        if not pull.record.wish.detached and pull.record.state is not PullState.PAUSED:
            with suppress(HeadwayError):
                pull.change(Change.PAUSE, DAEMON_STOPPED)
        pull.update()
        self._end(pull, PullStoppedError(pull.record.pull_id, pull.record.state, DAEMON_STOPPED))
