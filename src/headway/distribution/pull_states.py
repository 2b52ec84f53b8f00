"""The life of a durable pull, as decisions: in which state it is, what changes it, and who may run beside whom.

Rule 1: the table is the machine: what is absent from it cannot happen.
Rule 2: whatever stops a pull keeps its bytes; only ``cancelled`` says that nobody wants them any more.
Rule 3: nothing here waits, writes or asks; `service.durable_pulls.pulls` does, and reports.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from headway.errors import ConflictError, HeadwayError, ProxyRefusedError, RefusedError, StoreError, root_cause


class PullState(StrEnum):
    """Where a pull stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING_FOR_LINK = "waiting for the link"
    WAITING_FOR_CREDENTIALS = "waiting for credentials"
    PAUSED = "paused"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        """Whether only asking for the image again could change it."""
        return self in (PullState.COMPLETE, PullState.FAILED, PullState.CANCELLED)


class Change(StrEnum):
    """What happens to a pull; for a person, in the words of a refusal."""

    BEGIN = "begun"
    PREEMPT = "put back"
    LOSE_LINK = "made to wait for the link"
    REFUSE = "made to wait for credentials"
    FINISH = "finished"
    FAIL = "given up"
    PAUSE = "paused"
    RESUME = "resumed"
    CANCEL = "cancelled"


_S, _C = PullState, Change
_BY_USER = {_C.PAUSE: _S.PAUSED, _C.RESUME: _S.QUEUED, _C.CANCEL: _S.CANCELLED}
_TABLE: dict[PullState, dict[Change, PullState]] = {
    _S.QUEUED: {**_BY_USER, _C.BEGIN: _S.RUNNING, _C.REFUSE: _S.WAITING_FOR_CREDENTIALS},
    _S.RUNNING: {
        _C.PAUSE: _S.PAUSED,
        _C.CANCEL: _S.CANCELLED,
        _C.PREEMPT: _S.QUEUED,
        _C.LOSE_LINK: _S.WAITING_FOR_LINK,
        _C.REFUSE: _S.WAITING_FOR_CREDENTIALS,
        _C.FINISH: _S.COMPLETE,
        _C.FAIL: _S.FAILED,
    },
    _S.WAITING_FOR_LINK: _BY_USER,
    _S.WAITING_FOR_CREDENTIALS: _BY_USER,
    _S.PAUSED: {**_BY_USER, _C.REFUSE: _S.WAITING_FOR_CREDENTIALS},
    _S.FAILED: {_C.RESUME: _S.QUEUED},
    _S.CANCELLED: {_C.RESUME: _S.QUEUED},
    _S.COMPLETE: {},
}


def changed(state: PullState, change: Change, name: str = "the pull") -> PullState:
    """Return the state after a change.

    Raises:
        ConflictError: It cannot happen in that state; the words are for who asked for it.
    """
    following = _TABLE[state].get(change)
    if following is None:
        raise ConflictError(f"{name} is {state}, and cannot be {change}")
    return following


def after_restart(state: PullState, *, detached: bool, lacks_login: bool) -> PullState:
    """Return the state of a pull that the process before this one left behind.

    Args:
        state: As it was recorded.
        detached: Whether it goes on without anybody who watches it.
        lacks_login: Whether it needs a login that only its request had, and that nobody keeps.
    """
    if state.has_ended or state is PullState.PAUSED:
        return state
    if not detached:
        return PullState.PAUSED
    return PullState.WAITING_FOR_CREDENTIALS if lacks_login else PullState.QUEUED


class AfterFailure(msgspec.Struct, frozen=True):
    """What follows from a failed attempt.

    Attributes:
        change: What happens to the pull.
        wait_seconds: When it is tried again, where it waits for the link.
    """

    change: Change
    wait_seconds: float = 0.0


FIRST_WAIT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 60.0


def after_failure(error: HeadwayError, *, goes_on: bool, lacks_login: bool, failures: int) -> AfterFailure:
    """Return what follows when the patience of one attempt is used up.

    A pull that goes on has unlimited patience (docs/daemon.md): whatever may pass by itself is waited for. Our own disk
    is not: nothing that waits for the link makes room. A refusal is waited with only where the pull's own login is not
    here any more; a proxy that refuses wants another one.

    Args:
        error: Why the attempt ended.
        goes_on: Whether the pull goes on by itself.
        lacks_login: Whether its request had a login that is not here any more.
        failures: Attempts in a row that brought no byte, this one included.
    """
    cause = root_cause(error)
    wants_login = isinstance(cause, RefusedError) and not isinstance(cause, ProxyRefusedError)
    if wants_login and goes_on and lacks_login:
        return AfterFailure(Change.REFUSE)
    if not goes_on or not cause.retryable or isinstance(cause, StoreError):
        return AfterFailure(Change.FAIL)
    return AfterFailure(Change.LOSE_LINK, min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * max(1, failures)))


class Claim(msgspec.Struct, frozen=True):
    """A pull that wants the link.

    Attributes:
        pull_id: Which.
        priority: Higher goes first.
        state: Where it stands.
    """

    pull_id: str
    priority: int
    state: PullState


class Turn(msgspec.Struct, frozen=True):
    """Who is to begin and who is to make room.

    Attributes:
        begin: Queued pulls whose turn it is.
        preempt: Running ones that a higher priority displaces; they are queued again, with all their bytes.
    """

    begin: tuple[str, ...] = ()
    preempt: tuple[str, ...] = ()


def turn(claims: Iterable[Claim]) -> Turn:
    """Return whose turn it is: of those that can run, the ones of the highest priority, all at once.

    One that waits for its link, for credentials or for a person claims nothing: the others use the link meanwhile.
    """
    able = [claim for claim in claims if claim.state in (PullState.QUEUED, PullState.RUNNING)]
    highest = max((claim.priority for claim in able), default=0)
    return Turn(
        begin=tuple(c.pull_id for c in able if c.priority == highest and c.state is PullState.QUEUED),
        preempt=tuple(c.pull_id for c in able if c.priority < highest and c.state is PullState.RUNNING),
    )
