"""Pulls as durable work: they outlive who asks for them, and a restart (distribution/pull_states.py decides).

Rule 1: a change is decided and noted in one step; what it starts or stops follows from the new states alone
        (`Pulls._give_turns`), whoever made the change.
Rule 2: a client that leaves pauses its pull, unless others watch it or it is detached. Every byte stays.
Rule 3: what is recorded is what a restart can rely on: a detached pull is durable before its ID is told.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec

from headway.distribution.credentials import Credentials
from headway.distribution.pull_states import Change, PullState, after_failure, after_restart, turn
from headway.errors import HeadwayError, PullStoppedError
from headway.interfaces.pulls import PullRecord, PullStore, Wish
from headway.service.durable_pull import DurablePull
from headway.service.progress import PullDone, Report
from headway.service.pull_counts import PullCounts
from headway.service.pull_ledger import PullLedger

log = logging.getLogger(__name__)

Bring = Callable[[Wish, Credentials | None, Report], Awaitable[PullDone]]
"""Brings an image once, as far as one attempt goes."""

CLIENT_LEFT = "client left"
DAEMON_STOPPED = "the daemon stopped"
NO_LOGIN = "its login came with the request and is not kept: resume it, or pull again, with one"


class Pulls:
    """Every pull of one process.

    Args:
        store: Where they are recorded.
        bring: Brings an image.
        group: Owns what runs.
        may_detach: Tells whether a pull goes on when its client leaves, though nobody asked for that.
        has_login: Tells whether this process knows a login for an image, which does for one that is not kept.
        clock: Seconds since the epoch.

    Attributes:
        counts: What pulls have come to since this process began.
    """

    def __init__(
        self,
        store: PullStore,
        bring: Bring,
        *,
        group: asyncio.TaskGroup,
        may_detach: Callable[[], bool] = lambda: False,
        has_login: Callable[[str], bool] = lambda _: False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._bring = bring
        self._group = group
        self._may_detach = may_detach
        self._has_login = has_login
        self._clock = clock
        self._ledger = PullLedger(store)
        self.counts = PullCounts()
        self._live: dict[str, DurablePull] = {}
        self._keeper: asyncio.Task[None] | None = None
        self._is_stopping = False

    # --- asking for one ---

    async def pull(self, wish: Wish, report: Report, login: Credentials | None = None) -> PullDone:
        """Bring an image, watched by `report`; who is cancelled has left.

        Raises:
            HeadwayError: It failed; what arrived is kept.
            PullStoppedError: Somebody cancelled it.
        """
        return await self._watch(self._wanted(wish, login), report)

    async def start(self, wish: Wish, login: Credentials | None = None) -> PullRecord:
        """Have an image brought, whoever watches; it is recorded when this returns."""
        pull = self._wanted(msgspec.structs.replace(wish, detached=True), login)
        await self._ledger.settle()
        return pull.shown

    async def watch(self, pull_id: str, report: Report) -> PullDone:
        """Watch a pull that was asked for before.

        Raises:
            NotFoundError: There is none of that ID.
            PullStoppedError: It has ended already.
            HeadwayError: As `pull`.
        """
        record = await self.get(pull_id)
        pull = self._live.get(record.pull_id)
        if pull is None:
            raise PullStoppedError(record.pull_id, record.state, record.reason)
        return await self._watch(pull, report)

    def _wanted(self, wish: Wish, login: Credentials | None) -> DurablePull:
        """Return the pull that a wish means: one that is under way or stopped, else a new one."""
        pull = next((each for each in self._live.values() if _is_same(each, wish, login)), None)
        if pull is None:
            pull = self._new(wish, login)
        else:
            self._wanted_again(pull, wish, login)
        self._give_turns()
        return pull

    def _new(self, wish: Wish, login: Credentials | None) -> DurablePull:
        now = self._clock()
        record = PullRecord(
            pull_id=secrets.token_hex(6),
            wish=wish,
            had_login=login is not None,
            state=PullState.QUEUED,
            created=now,
            changed=now,
        )
        pull = self._keep(record, login)
        self._ledger.note(record)
        return pull

    def _keep(self, record: PullRecord, login: Credentials | None) -> DurablePull:
        pull = self._live[record.pull_id] = DurablePull(record, login, self._ledger.note, self._clock)
        return pull

    def _wanted_again(self, pull: DurablePull, wish: Wish, login: Credentials | None) -> None:
        known = pull.record.wish
        merged = msgspec.structs.replace(
            wish, detached=wish.detached or known.detached, priority=max(wish.priority, known.priority)
        )
        if login is not None:
            pull.login = login
        pull.update(wish=merged, had_login=pull.record.had_login or login is not None)
        if pull.record.state not in (PullState.QUEUED, PullState.RUNNING):
            pull.change(Change.RESUME)

    async def _watch(self, pull: DurablePull, report: Report) -> PullDone:
        pull.join(report)
        try:
            outcome = await pull.outcome()
        except asyncio.CancelledError:
            pull.watchers.remove(report)
            self._left(pull)
            raise
        pull.watchers.remove(report)
        if isinstance(outcome, HeadwayError):
            raise outcome
        return outcome

    def _left(self, pull: DurablePull) -> None:
        """Pause a pull that its last watcher has left."""
        if pull.watchers or pull.record.wish.detached or pull.record.state.has_ended or self._is_stopping:
            return
        if self._may_detach():
            pull.update(wish=msgspec.structs.replace(pull.record.wish, detached=True))
        elif pull.record.state is not PullState.PAUSED:
            self._change(pull, Change.PAUSE, CLIENT_LEFT)

    # --- looking, and changing ---

    def states(self) -> Counter[PullState]:
        """Return how many that have not ended are in which state."""
        return Counter(pull.shown.state for pull in self._live.values())

    async def list(self) -> list[PullRecord]:
        """Return all that are recorded, the newest first, as they are now."""
        live = dict(self._live)  # as it is before the records are read: what ends meanwhile is shown as it ended
        await self._ledger.settle()
        records = await asyncio.to_thread(self._store.list)
        known = {record.pull_id for record in records}
        new = [pull.shown for pull in live.values() if pull.record.pull_id not in known]
        return [*reversed(new), *(live[r.pull_id].shown if r.pull_id in live else r for r in records)]

    async def get(self, prefix: str) -> PullRecord:
        """Return one, by its ID or the beginning of it.

        Raises:
            NotFoundError: There is none.
            ConflictError: There are several.
        """
        await self._ledger.settle()
        record = await asyncio.to_thread(self._store.get, prefix)
        pull = self._live.get(record.pull_id)
        return record if pull is None else pull.shown

    async def pause(self, prefix: str) -> PullRecord:
        """Stop a pull until it is resumed.

        Raises:
            NotFoundError: There is none.
            ConflictError: It has ended.
        """
        return await self._changed(prefix, Change.PAUSE, "by request")

    async def cancel(self, prefix: str) -> PullRecord:
        """End a pull; its bytes stay until a prune wants the room.

        Raises:
            NotFoundError: There is none.
            ConflictError: It has ended.
        """
        return await self._changed(prefix, Change.CANCEL, "by request")

    async def resume(self, prefix: str, login: Credentials | None = None) -> PullRecord:
        """Let a pull go on that was paused, waits, or has failed; it is detached from then on.

        Raises:
            NotFoundError: There is none.
            ConflictError: It is under way or complete.
        """
        record = await self.get(prefix)
        pull = self._live.get(record.pull_id) or self._keep(record, None)
        pull.login = login or pull.login
        had_login = pull.record.had_login or login is not None
        try:
            pull.change(Change.RESUME)
        finally:
            if pull.record.state.has_ended:
                del self._live[record.pull_id]
        pull.update(wish=msgspec.structs.replace(pull.record.wish, detached=True), had_login=had_login)
        return await self._settled(pull)

    async def set_priority(self, prefix: str, priority: int) -> PullRecord:
        """Let a pull go before those of lower priority, and after those of higher.

        Raises:
            NotFoundError: There is none.
            PullStoppedError: It has ended.
        """
        record = await self.get(prefix)
        pull = self._live.get(record.pull_id)
        if pull is None:
            raise PullStoppedError(record.pull_id, record.state, record.reason)
        pull.update(wish=msgspec.structs.replace(pull.record.wish, priority=priority))
        return await self._settled(pull)

    async def _changed(self, prefix: str, change: Change, reason: str) -> PullRecord:
        record = await self.get(prefix)
        pull = self._live.get(record.pull_id) or DurablePull(record, None, self._ledger.note, self._clock)
        self._change(pull, change, reason)
        return await self._settled(pull)

    async def _settled(self, pull: DurablePull) -> PullRecord:
        self._give_turns()
        await self._ledger.settle()
        return pull.shown

    # --- what runs ---

    def _change(self, pull: DurablePull, change: Change, reason: str = "") -> None:
        """Change a pull's state, and give turns: others may go on now."""
        self._put(pull, change, reason)
        self._give_turns()

    def _put(self, pull: DurablePull, change: Change, reason: str) -> None:
        """Change a pull's state, and stop what brings it where that is no more wanted."""
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
        self._live.pop(pull.record.pull_id, None)
        if pull.record.state.has_ended:
            self.counts.has_ended(pull.record.state, outcome.receipt if isinstance(outcome, PullDone) else None)
        pull.end(outcome)

    def _give_turns(self) -> None:
        """Begin and preempt as the states want it; the only place where pulls are started."""
        if self._is_stopping:
            return
        decided = turn(pull.claim for pull in self._live.values())
        for pull_id in decided.preempt:
            self._put(self._live[pull_id], Change.PREEMPT, "another one goes first")
        for pull_id in decided.begin:
            pull = self._live[pull_id]
            if pull.task is None:  # else it is just ending, and its end gives turns again
                pull.change(Change.BEGIN)
                pull.task = self._group.create_task(self._run(pull))

    async def _run(self, pull: DurablePull) -> None:
        """Bring a pull once. It never raises: one that fails must not bring down its group."""
        pull.begin_attempt()
        outcome = await self._outcome(pull)
        pull.task = None
        if isinstance(outcome, PullDone):
            self._completed(pull, outcome)
        elif outcome is not None:
            self._failed(pull, outcome)
        self._give_turns()

    async def _outcome(self, pull: DurablePull) -> PullDone | HeadwayError | None:
        """Return how an attempt ended; None where it was cancelled: who did that has said what becomes of the pull."""
        try:
            return await self._bring(pull.record.wish, pull.login, pull.report)
        except asyncio.CancelledError:
            return None
        except HeadwayError as error:
            return error
        except Exception as error:
            log.exception("bug in a pull")
            return HeadwayError(f"a mistake of Headway's own: {type(error).__name__}")

    def _completed(self, pull: DurablePull, done: PullDone) -> None:
        if pull.record.state is not PullState.RUNNING:
            pull.change(Change.RESUME)  # it was done before it could be stopped
            pull.change(Change.BEGIN)
        pull.update(image_id=done.image_id, receipt=msgspec.to_builtins(done.receipt, enc_hook=str))
        self._change(pull, Change.FINISH)
        self._end(pull, done)

    def _failed(self, pull: DurablePull, error: HeadwayError) -> None:
        if pull.record.state is not PullState.RUNNING:
            return  # somebody stopped it just then, and has said what becomes of it
        wish = pull.record.wish
        pull.failures = 0 if pull.received else pull.failures + 1
        after = after_failure(
            error,
            goes_on=wish.detached or wish.patient,
            lacks_login=pull.record.had_login and pull.login is None,
            failures=pull.failures,
        )
        reason = NO_LOGIN if after.change is Change.REFUSE else str(error)
        self._change(pull, after.change, reason)
        if after.change is Change.FAIL:
            self._end(pull, error)
        elif after.change is Change.LOSE_LINK:
            asyncio.get_running_loop().call_later(after.wait_seconds, self._try_again, pull, pull.record.changed)

    def _try_again(self, pull: DurablePull, since: float) -> None:
        if pull.record.state is PullState.WAITING_FOR_LINK and pull.record.changed == since and not self._is_stopping:
            self._change(pull, Change.RESUME)

    # --- the process's begin and end ---

    async def take_up(self) -> None:
        """Go on with what the process before this one left; called once, before anybody asks for anything."""
        self._keeper = self._group.create_task(self._ledger.keep())
        for record in await asyncio.to_thread(self._store.list):
            if record.state.has_ended:
                continue
            lacks_login = record.had_login and not await asyncio.to_thread(self._has_login, record.wish.reference)
            state = after_restart(record.state, detached=record.wish.detached, lacks_login=lacks_login)
            reason = {PullState.PAUSED: DAEMON_STOPPED, PullState.WAITING_FOR_CREDENTIALS: NO_LOGIN}.get(state, "")
            pull = self._keep(record, None)
            if state is not record.state:
                pull.update(state=state, reason=reason, changed=self._clock())
        self._give_turns()
        await self._ledger.settle()

    async def stop(self) -> None:
        """Stop everything, with every byte kept; the next process takes it up. May be called again."""
        self._is_stopping = True
        if self._keeper is not None:
            self._keeper.cancel()
        running = [pull.task for pull in self._live.values() if pull.task is not None]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        for pull in tuple(self._live.values()):
            if not pull.record.wish.detached and pull.record.state is not PullState.PAUSED:
                with suppress(HeadwayError):
                    pull.change(Change.PAUSE, DAEMON_STOPPED)
            self._end(pull, PullStoppedError(pull.record.pull_id, pull.record.state, DAEMON_STOPPED))
        await self._ledger.settle()


def _is_same(pull: DurablePull, wish: Wish, login: Credentials | None) -> bool:
    """Tell whether a wish is for what a pull brings; with a login of its own it is not, while the pull has another.

    What one login may see is not shown to another before the registry has let that one in.
    """
    known = pull.record.wish
    is_same_image = (known.reference, known.platform) == (wish.reference, wish.platform)
    same_login = login == pull.login or pull.record.state not in (PullState.RUNNING, PullState.QUEUED)
    return is_same_image and same_login
