"""Durable pulls: they outlive the client that asks for them, and a restart (distribution/pull_states.py decides).

Rule 1: a change is decided and noted in one step; `service.durable_pulls.runs` performs what follows.
Rule 2: a client that leaves pauses its pull, unless others watch it or it is detached. Every byte is kept.
Rule 3: a restart can rely on the records: a detached pull is durable before its ID is returned.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable

import msgspec

from headway.distribution.credentials import Credentials
from headway.distribution.pull_states import Change, PullState
from headway.errors import ConflictError, HeadwayError, PullStoppedError
from headway.interfaces.pulls import PullRecord, PullStore, Wish
from headway.service.durable_pulls.durable_pull import DurablePull
from headway.service.durable_pulls.runs import Bring, PullCounts, PullRuns
from headway.service.transfers.progress import PullDone, Report

CLIENT_LEFT = "client left"


class Pulls:
    """Every pull of one process.

    Args:
        store: Where they are recorded.
        bring: Brings an image.
        group: Owns what runs.
        may_detach: Tells whether a pull goes on when its client leaves, though nobody asked for that.
        has_login: Tells whether this process knows a login for an image, which does for one that is not kept.
        clock: Seconds since the epoch.
        ticks: Seconds that nobody sets.
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
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._runs = PullRuns(store, bring, group=group, clock=clock, ticks=ticks)
        self._may_detach = may_detach
        self._has_login = has_login
        self._clock = clock

    @property
    def counts(self) -> PullCounts:
        """Counts of pulls since this process began."""
        return self._runs.counts

    # --- asking for one ---

    async def pull(self, wish: Wish, report: Report, login: Credentials | None = None) -> PullDone:
        """Pull an image, watched by `report`; a caller that is cancelled counts as a client that left.

        Raises:
            HeadwayError: It failed; what arrived is kept.
            PullStoppedError: Somebody cancelled it.
        """
        return await self._watch(self._wanted(wish, login), report)

    async def start(self, wish: Wish, login: Credentials | None = None) -> PullRecord:
        """Start a pull that goes on whether anybody watches or not; it is recorded when this returns."""
        pull = self._wanted(msgspec.structs.replace(wish, detached=True), login)
        await self._runs.ledger.settle()
        return pull.shown

    async def watch(self, pull_id: str, report: Report) -> PullDone:
        """Watch a pull that was started before.

        Raises:
            NotFoundError: There is none of that ID.
            PullStoppedError: It has ended already.
            HeadwayError: As `pull`.
        """
        record = await self.get(pull_id)
        pull = self._runs.live.get(record.pull_id)
        if pull is None:
            raise PullStoppedError(record.pull_id, record.state, record.reason)
        return await self._watch(pull, report)

    def _wanted(self, wish: Wish, login: Credentials | None) -> DurablePull:
        """Return the pull for a request: one that is under way or stopped, or else a new one."""
        pull = next((each for each in self._runs.live.values() if _is_same(each, wish, login)), None)
        if pull is None:
            pull = self._new(wish, login)
        else:
            self._wanted_again(pull, wish, login)
        if self._runs.is_stopping and pull.task is None:  # it is too late for a turn
            self._runs.leave(pull)
        self._runs.give_turns()
        return pull

    def _new(self, wish: Wish, login: Credentials | None) -> DurablePull:
        now = self._clock()
        record = PullRecord(
            pull_id=secrets.token_hex(6),
            wish=msgspec.structs.replace(wish, digest=None),
            had_login=login is not None,
            state=PullState.QUEUED,
            created=now,
            changed=now,
        )
        pull = self._runs.of(record, login)
        pull.found = wish.digest
        self._runs.keep(pull)
        self._runs.ledger.note(record)
        return pull

    def _wanted_again(self, pull: DurablePull, wish: Wish, login: Credentials | None) -> None:
        known = pull.record.wish
        received = pull.account.received_bytes
        merged = msgspec.structs.replace(
            wish,
            detached=wish.detached or known.detached,
            priority=max(wish.priority, known.priority),
            max_bytes=None if wish.max_bytes is None else wish.max_bytes + received,
            digest=None,
        )
        pull.found = None if pull.record.state is PullState.RUNNING else wish.digest
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
        if pull.watchers or pull.record.wish.detached or pull.record.state.has_ended or self._runs.is_stopping:
            return
        if self._may_detach():
            pull.update(wish=msgspec.structs.replace(pull.record.wish, detached=True))
        elif pull.record.state is not PullState.PAUSED:
            self._runs.change(pull, Change.PAUSE, CLIENT_LEFT)

    # --- looking, and changing ---

    def states(self) -> Counter[PullState]:
        """Return the number of pulls that have not ended, by state."""
        return Counter(pull.shown.state for pull in self._runs.live.values())

    async def list(self) -> list[PullRecord]:
        """Return all recorded pulls, newest first, in their current state."""
        live = dict(self._runs.live)  # as it is before the records are read: what ends meanwhile is shown as it ended
        await self._runs.ledger.settle()
        records = await asyncio.to_thread(self._store.list)
        known = {record.pull_id for record in records}
        new = [pull.shown for pull in live.values() if pull.record.pull_id not in known]
        return [*reversed(new), *(live[r.pull_id].shown if r.pull_id in live else r for r in records)]

    async def get(self, prefix: str) -> PullRecord:
        """Return one pull, by its ID or a prefix of it.

        Raises:
            NotFoundError: There is none.
            ConflictError: There are several.
        """
        live = dict(self._runs.live)  # what ends while its record is read is shown as it ended
        if prefix in live:
            return live[prefix].shown  # it may have no record: the disk was full
        await self._runs.ledger.settle()
        record = await asyncio.to_thread(self._store.get, prefix)
        pull = self._runs.live.get(record.pull_id) or live.get(record.pull_id)
        return record if pull is None else pull.shown

    async def pause(self, prefix: str) -> PullRecord:
        """Stop a pull until it is resumed.

        Raises:
            NotFoundError: There is none.
            ConflictError: It has ended.
        """
        return await self._changed(prefix, Change.PAUSE, "by request")

    async def cancel(self, prefix: str) -> PullRecord:
        """End a pull; its bytes are kept until a prune removes them.

        Raises:
            NotFoundError: There is none.
            ConflictError: It has ended.
        """
        return await self._changed(prefix, Change.CANCEL, "by request")

    async def resume(self, prefix: str, login: Credentials | None = None) -> PullRecord:
        """Let a paused, waiting or failed pull go on; it is detached from then on.

        Raises:
            NotFoundError: There is none.
            ConflictError: It is under way or complete.
        """
        record = await self.get(prefix)
        pull = self._runs.live.get(record.pull_id) or self._runs.of(record)
        pull.change(Change.RESUME)  # first: one that is refused stays as it is, its login too
        pull.login, pull.found = login or pull.login, None
        had_login = pull.record.had_login or login is not None
        pull.update(wish=msgspec.structs.replace(pull.record.wish, detached=True), had_login=had_login)
        self._runs.keep(pull)  # not before: one that was refused may seem to run, and others would wait for it
        return await self._settled(pull)

    async def set_priority(self, prefix: str, priority: int) -> PullRecord:
        """Change a pull's priority: it goes before pulls of lower priority, and after those of higher.

        Raises:
            NotFoundError: There is none.
            ConflictError: It has ended.
        """
        record = await self.get(prefix)
        pull = self._runs.live.get(record.pull_id)
        if pull is None:
            raise ConflictError(f"pull {record.pull_id} is {record.state}, and its priority cannot be changed")
        pull.update(wish=msgspec.structs.replace(pull.record.wish, priority=priority))
        return await self._settled(pull)

    async def _changed(self, prefix: str, change: Change, reason: str) -> PullRecord:
        record = await self.get(prefix)
        pull = self._runs.live.get(record.pull_id) or self._runs.of(record)
        self._runs.change(pull, change, reason)
        return await self._settled(pull)

    async def _settled(self, pull: DurablePull) -> PullRecord:
        self._runs.give_turns()
        await self._runs.ledger.settle()
        return pull.shown

    # --- the process's begin and end ---

    async def take_up(self) -> None:
        """Go on with the pulls that the previous process left; called once, before any request."""
        await self._runs.take_up(self._has_login)

    async def take_up_stopped(self) -> None:
        """Read the unfinished pulls, and go on only with those asked for; called once, instead of `take_up`.

        It is for a command that pulls some images and ends: other pulls are left to their own processes.
        """
        await self._runs.take_up_stopped()

    async def stop(self) -> None:
        """Stop every attempt and keep every byte; the next process goes on with them. May be called again."""
        await self._runs.stop()


def _is_same(pull: DurablePull, wish: Wish, login: Credentials | None) -> bool:
    """Tell whether a request may share a pull: not if it has a login of its own and the pull has another.

    What one login may see is not shown to another before the registry has accepted that one; and a request without a
    login does not decide where somebody else's login is sent.
    """
    known = pull.record.wish
    is_same_image = (known.reference, known.platform) == (wish.reference, wish.platform)
    is_stopped = pull.record.state not in (PullState.RUNNING, PullState.QUEUED)
    return is_same_image and (login == pull.login or (is_stopped and login is not None))
