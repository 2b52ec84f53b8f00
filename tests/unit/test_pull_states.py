"""The life of a durable pull: what can happen in which state, and whose turn it is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.distribution.pull_states import (
    LONGEST_WAIT_SECONDS,
    AfterFailure,
    Change,
    Claim,
    PullState,
    after_failure,
    after_restart,
    changed,
    turn,
)
from headway.errors import (
    ConflictError,
    Fault,
    GaveUpError,
    HeadwayError,
    NotFoundError,
    ProxyRefusedError,
    PullIncompleteError,
    RefusedError,
    RejectedError,
    StoreFullError,
    UnreachableError,
)

S, C = PullState, Change
TABLE = {
    (S.QUEUED, C.BEGIN): S.RUNNING,
    (S.QUEUED, C.REFUSE): S.WAITING_FOR_CREDENTIALS,
    (S.RUNNING, C.PREEMPT): S.QUEUED,
    (S.RUNNING, C.LOSE_LINK): S.WAITING_FOR_LINK,
    (S.RUNNING, C.REFUSE): S.WAITING_FOR_CREDENTIALS,
    (S.RUNNING, C.FINISH): S.COMPLETE,
    (S.RUNNING, C.FAIL): S.FAILED,
    (S.RUNNING, C.PAUSE): S.PAUSED,
    (S.RUNNING, C.CANCEL): S.CANCELLED,
    (S.PAUSED, C.REFUSE): S.WAITING_FOR_CREDENTIALS,
    (S.FAILED, C.RESUME): S.QUEUED,
    (S.CANCELLED, C.RESUME): S.QUEUED,
    **{
        (state, change): after
        for state in (S.QUEUED, S.WAITING_FOR_LINK, S.WAITING_FOR_CREDENTIALS, S.PAUSED)
        for change, after in ((C.PAUSE, S.PAUSED), (C.RESUME, S.QUEUED), (C.CANCEL, S.CANCELLED))
    },
}


@pytest.mark.parametrize(("state", "change"), TABLE)
def test_a_change_leads_to_the_next_state(state: PullState, change: Change) -> None:
    assert changed(state, change) is TABLE[state, change]


@pytest.mark.parametrize(("state", "change"), [pair for pair in itertools.product(S, C) if pair not in TABLE])
def test_what_cannot_happen_is_refused(state: PullState, change: Change) -> None:
    with pytest.raises(ConflictError, match=f"pull 7 is {state}, and cannot be {change}"):
        changed(state, change, "pull 7")


@pytest.mark.parametrize("state", S)
def test_after_a_restart_a_detached_pull_goes_on_and_any_other_waits_for_a_person(state: PullState) -> None:
    stays = state.has_ended or state is S.PAUSED

    assert after_restart(state, detached=True, lacks_login=False) is (state if stays else S.QUEUED)
    assert after_restart(state, detached=True, lacks_login=True) is (state if stays else S.WAITING_FOR_CREDENTIALS)
    assert after_restart(state, detached=False, lacks_login=True) is (state if stays else S.PAUSED)


STOPS, GOES_ON, LACKS_LOGIN = frozenset[str](), frozenset({"goes on"}), frozenset({"lacks its login"})
CUT = PullIncompleteError("a:1", GaveUpError(5, UnreachableError("ghcr.io", Fault.CUT)))
DENIED = PullIncompleteError("a:1", RefusedError("ghcr.io", 401))


@pytest.mark.parametrize(
    ("error", "who", "change"),
    [
        (CUT, GOES_ON, C.LOSE_LINK),
        (CUT, STOPS, C.FAIL),
        (DENIED, GOES_ON | LACKS_LOGIN, C.REFUSE),
        (DENIED, GOES_ON, C.FAIL),
        (DENIED, STOPS | LACKS_LOGIN, C.FAIL),
        (ProxyRefusedError("proxy:3128", 407, "ghcr.io"), GOES_ON | LACKS_LOGIN, C.FAIL),
        (RejectedError("auth.example", 404, "answers HTTP 404"), GOES_ON | LACKS_LOGIN, C.FAIL),
        (NotFoundError("manifest", "a:1"), GOES_ON, C.FAIL),
        (StoreFullError("/var"), GOES_ON, C.FAIL),
    ],
)
def test_what_passes_by_itself_is_waited_for_by_who_goes_on(
    error: HeadwayError, who: frozenset[str], change: Change
) -> None:
    after = after_failure(error, goes_on=who >= GOES_ON, lacks_login=who >= LACKS_LOGIN, failures=1)

    assert after.change is change


def test_waits_grow_to_a_minute() -> None:
    waits = [after_failure(CUT, goes_on=True, lacks_login=False, failures=n) for n in (0, 1, 2, 3, 100)]

    assert waits[:4] == [AfterFailure(C.LOSE_LINK, seconds) for seconds in (5.0, 5.0, 10.0, 15.0)]
    assert waits[4].wait_seconds == LONGEST_WAIT_SECONDS


claims = st.lists(
    st.builds(Claim, st.uuids().map(str), st.integers(-2, 2), st.sampled_from(S)),
    max_size=8,
    unique_by=lambda c: c.pull_id,
)


@given(claims)
def test_only_the_highest_priority_that_can_run_runs(wanting: list[Claim]) -> None:
    decided = turn(wanting)

    states = {claim.pull_id: claim.state for claim in wanting}
    states |= dict.fromkeys(decided.begin, S.RUNNING) | dict.fromkeys(decided.preempt, S.QUEUED)
    able = [claim for claim in wanting if states[claim.pull_id] in (S.RUNNING, S.QUEUED)]
    running = {claim.priority for claim in able if states[claim.pull_id] is S.RUNNING}
    assert running == ({max(claim.priority for claim in able)} if able else set())
    assert turn([Claim(c.pull_id, c.priority, states[c.pull_id]) for c in wanting]) == turn([])


def test_one_that_waits_for_its_link_leaves_the_link_to_others() -> None:
    waiting, able = Claim("high", 10, S.WAITING_FOR_LINK), Claim("low", 0, S.QUEUED)

    assert turn([waiting, able]).begin == ("low",)
