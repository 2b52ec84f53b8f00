"""The upload of one blob, decided without doing it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from headway.distribution.backoff import GiveUp, Retries, RetryPolicy, Wait
from headway.distribution.connection_lives import MIN_PIECE_BYTES
from headway.distribution.upload import LOOK_AGAIN_SECONDS, Action, Ask, BlobUpload, Close, Done, Look, Open, Send
from headway.errors import (
    DigestMismatchError,
    Fault,
    ForgetfulRegistryError,
    GaveUpError,
    HeadwayError,
    MisbehavedError,
    NotFoundError,
    OutOfOrderError,
    RefusedError,
    RejectedError,
    StoreError,
    ThrottledError,
    TooLargeError,
    UnavailableError,
    UnreachableError,
    WebPageError,
)

SIZE = 100
PIECE = 30
CUT = UnreachableError("r", Fault.CUT)
LOST = NotFoundError("upload", "u")


def upload(
    size: int = SIZE, *, attempts: int = 5, patience: float = 0.0, piece: int = PIECE, is_whole: bool = False
) -> BlobUpload:
    retries = Retries(RetryPolicy(attempts, patience), now=0.0, jitter=lambda: 0.0)
    machine = BlobUpload(size, endpoint="r", retries=retries, is_whole=is_whole)
    machine.piece = piece
    return machine


def after(machine: BlobUpload, report: Callable[[], None]) -> Action:
    """Make a report; return what follows, behind any wait."""
    report()
    return action(machine)


def action(machine: BlobUpload) -> Action:
    following = machine.next_action()
    return machine.next_action() if isinstance(following, Wait) else following


def opened(machine: BlobUpload, *, least: int = 0) -> Action:
    assert action(machine) == Open()
    return after(machine, lambda: machine.opened(least=least))


def sent(machine: BlobUpload, held: int | None = None) -> Action:
    return after(machine, lambda: machine.sent(held, seconds=1.0, now=0.0))


def failed(machine: BlobUpload, error: HeadwayError) -> Action:
    return after(machine, lambda: machine.failed(error, now=0.0))


def answered(machine: BlobUpload, held: int | None) -> Action:
    return after(machine, lambda: machine.answered(held, now=0.0))


def looked(machine: BlobUpload, *, is_there: bool) -> Action:
    return after(machine, lambda: machine.looked(is_there=is_there, now=0.0))


def sending(machine: BlobUpload, offset: int) -> BlobUpload:
    """Send pieces until the one from `offset` on is under way."""
    following = opened(machine)
    while following != Send(offset, min(SIZE, offset + PIECE)):
        following = sent(machine)
    return machine


def closing(*, patience: float = 0.0) -> BlobUpload:
    machine = sending(upload(patience=patience), 90)
    assert sent(machine) == Close()
    return machine


def looking() -> BlobUpload:
    machine = closing()
    assert after(machine, machine.closed) == Look()
    return machine


def test_a_blob_goes_in_whole_pieces_and_is_looked_for_at_the_end() -> None:
    machine = upload()

    steps = [opened(machine), sent(machine), sent(machine), sent(machine), sent(machine)]
    steps += [after(machine, machine.closed), looked(machine, is_there=True)]

    assert steps == [Send(0, 30), Send(30, 60), Send(60, 90), Send(90, 100), Close(), Look(), Done()]
    assert machine.next_action() == Done()


def test_an_empty_blob_is_closed_at_once() -> None:
    assert opened(upload(0)) == Close()


def test_a_registry_gets_pieces_as_large_as_it_wants_them() -> None:
    machine = upload()

    assert opened(machine, least=64) == Send(0, 64)
    assert sent(machine) == Send(64, 100)


def test_pieces_may_become_smaller_on_the_way() -> None:
    machine = sending(upload(), 30)
    machine.piece = 10

    assert sent(machine) == Send(60, 70)


@pytest.mark.parametrize(("held", "following"), [(None, Send(30, 60)), (20, Send(20, 50)), (5000, Send(30, 60))])
def test_the_next_piece_begins_where_the_registry_says_that_it_is(held: int | None, following: Send) -> None:
    machine = sending(upload(), 0)

    assert sent(machine, held) == following


def test_after_a_cut_the_registry_is_asked_what_it_has_and_sent_the_rest() -> None:
    machine = sending(upload(), 60)

    assert failed(machine, CUT) == Ask()
    assert answered(machine, 77) == Send(77, 100)


def test_what_a_registry_keeps_of_pieces_that_are_cut_is_progress() -> None:
    machine = sending(upload(attempts=2), 0)

    for held in range(1, SIZE):
        assert failed(machine, CUT) == Ask()
        assert answered(machine, held) == Send(held, min(SIZE, held + PIECE))

    assert [failed(machine, CUT), answered(machine, 99)] == [Ask(), Send(99, 100)]
    assert isinstance(failed(machine, CUT), GiveUp)


def test_a_session_that_a_cut_has_cost_begins_anew() -> None:
    machine = sending(upload(), 60)

    assert failed(machine, CUT) == Ask()
    assert answered(machine, None) == Open()
    assert machine.offset == 0


def test_a_registry_that_does_not_answer_the_question_gets_the_blob_anew() -> None:
    machine = sending(upload(), 60)
    failed(machine, CUT)

    assert failed(machine, MisbehavedError("r", "answers HTTP 405")) == Open()


def test_more_than_the_blob_has_is_no_answer() -> None:
    machine = sending(upload(), 60)
    failed(machine, CUT)

    assert answered(machine, SIZE + 1) == Open()


def test_when_the_answer_to_the_end_is_lost_the_blob_is_looked_for() -> None:
    machine = closing()

    assert failed(machine, CUT) == Look()
    assert looked(machine, is_there=True) == Done()


def test_when_it_is_not_there_after_a_lost_answer_the_session_goes_on() -> None:
    machine = closing()
    failed(machine, CUT)

    assert looked(machine, is_there=False) == Ask()
    assert answered(machine, SIZE) == Close()


def test_a_session_that_is_gone_at_the_end_may_have_become_the_blob() -> None:
    assert failed(closing(), LOST) == Look()


@pytest.mark.parametrize("patience", [0.0, 600.0])
def test_a_registry_that_has_all_of_an_upload_and_knows_of_none_at_its_end_is_given_up(patience: float) -> None:
    machine, now, closes = closing(patience=patience), 0.0, 0
    following: Action = Close()
    while following == Close() and closes < 1000:
        closes += 1
        machine.failed(LOST, now=now)
        following = machine.next_action()
        if isinstance(following, Wait):
            now += following.seconds
            following = machine.next_action()
        if following == Look():
            assert looked(machine, is_there=False) == Ask()
            following = answered(machine, SIZE)

    assert isinstance(following, GiveUp)
    assert isinstance(following.error, GaveUpError)
    assert now <= 700.0


def test_a_look_is_tried_again() -> None:
    assert failed(looking(), CUT) == Look()


@pytest.mark.parametrize(
    "error", [DigestMismatchError("the blob", "a", "b", "r"), MisbehavedError("r", "answers HTTP 400")]
)
def test_what_a_registry_does_not_close_or_has_as_another_is_sent_anew_once(error: HeadwayError) -> None:
    machine = closing()
    assert failed(machine, error) == Look()
    assert looked(machine, is_there=False) == Open()
    following = after(machine, machine.opened)
    while isinstance(following, Send):
        following = sent(machine)

    assert failed(machine, error) == Look()
    assert looked(machine, is_there=False) == GiveUp(error)


@pytest.mark.parametrize("error", [MisbehavedError("r", "answers HTTP 409"), DigestMismatchError("b", "a", "b", "r")])
def test_a_blob_that_is_there_though_its_end_was_refused_is_not_sent_again(error: HeadwayError) -> None:
    machine = closing()

    assert failed(machine, error) == Look()
    assert looked(machine, is_there=True) == Done()


def test_a_blob_that_is_there_a_moment_later_is_not_sent_again() -> None:
    machine, waited = looking(), 0.0
    for _ in LOOK_AGAIN_SECONDS:
        machine.looked(is_there=False, now=0.0)
        wait = machine.next_action()
        assert isinstance(wait, Wait)
        waited += wait.seconds
        assert machine.next_action() == Look()

    assert looked(machine, is_there=True) == Done()
    assert waited == 5.0


def test_a_registry_that_takes_blobs_and_does_not_have_them_is_given_up() -> None:
    machine, rounds = upload(), 0
    following = action(machine)
    while following == Open():
        rounds += 1
        following = after(machine, machine.opened)
        while isinstance(following, Send):
            following = sent(machine)
        assert following == Close()
        following = after(machine, machine.closed)
        while following == Look():
            following = looked(machine, is_there=False)

    assert rounds == 3
    assert isinstance(following, GiveUp)
    assert isinstance(following.error, ForgetfulRegistryError)
    assert not following.error.retryable


@pytest.mark.parametrize("patience", [0.0, 600.0])
def test_a_registry_that_begins_uploads_and_forgets_them_is_given_up(patience: float) -> None:
    machine, rounds = upload(attempts=9, patience=patience), 1
    assert opened(machine) == Send(0, 30)
    assert failed(machine, LOST) == Open()
    assert after(machine, machine.opened) == Send(0, 30)
    following = failed(machine, LOST)
    while following == Open():
        rounds += 1
        assert after(machine, machine.opened) == Close(whole=True)
        assert failed(machine, LOST) == Look()
        following = looked(machine, is_there=False)

    assert rounds == 3
    assert isinstance(following, GiveUp)
    assert isinstance(following.error, ForgetfulRegistryError)


def test_a_registry_that_takes_pieces_and_loses_those_before_is_given_up() -> None:
    machine, rounds = upload(), 0
    following = action(machine)
    while following == Open():
        rounds += 1
        assert after(machine, machine.opened) == Send(0, 30)
        assert sent(machine) == Send(30, 60)
        following = sent(machine, 0)

    assert rounds == 3
    assert isinstance(following, GiveUp)


@pytest.mark.parametrize(
    "error", [None, RejectedError("r", 405, "takes no pushes"), RejectedError("r", 501, "answers HTTP 501")]
)
def test_a_registry_that_has_nothing_of_the_first_piece_gets_the_blob_whole(error: HeadwayError | None) -> None:
    machine = upload()
    assert opened(machine) == Send(0, 30)

    assert (sent(machine, 0) if error is None else failed(machine, error)) == Open()
    assert after(machine, machine.opened) == Close(whole=True)
    assert after(machine, machine.closed) == Look()
    assert looked(machine, is_there=True) == Done()
    assert machine.is_whole


def test_a_registry_that_knows_no_pieces_gets_the_blob_whole_and_one_that_was_restarted_does_not() -> None:
    machine = upload()
    assert opened(machine) == Send(0, 30)
    assert failed(machine, LOST) == Open()
    assert after(machine, machine.opened) == Send(0, 30)
    restarted = upload()
    assert opened(restarted) == Send(0, 30)
    assert failed(restarted, LOST) == Open()
    assert after(restarted, restarted.opened) == Send(0, 30)

    assert failed(machine, LOST) == Open()
    assert after(machine, machine.opened) == Close(whole=True)
    assert sent(restarted) == Send(30, 60)
    assert (machine.is_whole, restarted.is_whole) == (True, False)


def test_a_web_page_in_a_registrys_place_is_waited_for_and_says_nothing_of_what_the_registry_takes() -> None:
    machine = upload(patience=600.0)
    assert opened(machine) == Send(0, 30)
    for _ in range(6):
        assert failed(machine, WebPageError("r")) == Ask()
        assert answered(machine, 0) == Send(0, 30)

    assert sent(machine) == Send(30, 60)
    assert not machine.is_whole


def test_a_web_page_costs_nothing_of_what_was_sent_whatever_it_answers() -> None:
    machine, page = upload(), WebPageError("r")
    assert opened(machine) == Send(0, 30)
    assert sent(machine) == Send(30, 60)

    assert failed(machine, page) == Ask()
    assert failed(machine, page) == Ask()
    assert answered(machine, 30) == Send(30, 60)
    assert sent(machine) == Send(60, 90)
    assert sent(machine) == Send(90, 100)
    assert sent(machine) == Close()
    assert failed(machine, page) == Look()
    assert failed(machine, page) == Look()
    assert looked(machine, is_there=False) == Ask()
    assert answered(machine, 100) == Close()


def test_a_whole_blob_that_is_cut_is_sent_anew_unless_it_is_there() -> None:
    machine = upload(is_whole=True)
    assert opened(machine) == Close(whole=True)

    assert failed(machine, CUT) == Look()
    assert looked(machine, is_there=False) == Open()
    assert after(machine, machine.opened) == Close(whole=True)
    assert failed(machine, CUT) == Look()
    assert looked(machine, is_there=True) == Done()


def test_a_registry_that_takes_no_blob_in_any_way_has_refused() -> None:
    machine, refusal = upload(), RejectedError("r", 405, "takes no pushes")
    assert opened(machine) == Send(0, 30)
    assert failed(machine, refusal) == Open()
    assert after(machine, machine.opened) == Close(whole=True)

    assert failed(machine, refusal) == GiveUp(refusal)


def test_an_empty_blob_is_closed_at_once_where_blobs_go_whole_too() -> None:
    assert opened(upload(0, is_whole=True)) == Close()


def test_a_piece_that_is_too_large_is_halved() -> None:
    machine = upload(size=4 << 20, piece=2 << 20)
    following = opened(machine)
    assert following == Send(0, 2 << 20)

    assert failed(machine, TooLargeError("r", 2 << 20)) == Ask()
    assert answered(machine, 0) == Send(0, 1 << 20)


def test_a_registry_that_takes_not_even_the_smallest_piece_is_given_up() -> None:
    machine = upload(size=4 << 20, piece=2 << 20)
    following, tries = opened(machine), 0
    while isinstance(following, Send):
        tries += 1
        following = failed(machine, TooLargeError("r", following.end))
        if following == Ask():
            following = answered(machine, 0)

    assert isinstance(following, GiveUp)
    assert isinstance(following.error, TooLargeError)
    assert following.error.size == MIN_PIECE_BYTES
    assert tries == 6


def test_a_registry_that_refuses_every_second_piece_gets_the_blob_in_one() -> None:
    machine = sending(upload(), 30)
    odd = MisbehavedError("r", "answers HTTP 416")

    assert failed(machine, odd) == Ask()
    assert answered(machine, 30) == Send(30, 60)
    assert failed(machine, odd) == Open()
    assert after(machine, machine.opened) == Send(0, SIZE)
    assert sent(machine) == Close()


def test_a_registry_that_refuses_whatever_it_is_sent_is_given_up() -> None:
    machine, odd = upload(patience=600.0), MisbehavedError("r", "answers HTTP 400")
    assert opened(machine) == Send(0, 30)
    assert failed(machine, odd) == Ask()
    assert answered(machine, 0) == Send(0, 30)
    following, tries = failed(machine, odd), 0
    while following == Open():
        tries += 1
        assert after(machine, machine.opened) == Close(whole=True)
        assert failed(machine, odd) == Look()
        following = looked(machine, is_there=False)

    assert (tries, following) == (2, GiveUp(odd))


def test_a_registry_that_refuses_the_rest_of_what_it_wants_in_one_piece_is_given_up() -> None:
    machine, odd = sending(upload(patience=600.0), 30), MisbehavedError("r", "answers HTTP 416")
    assert failed(machine, odd) == Ask()
    assert answered(machine, 30) == Send(30, 60)
    assert failed(machine, odd) == Open()
    assert after(machine, machine.opened) == Send(0, SIZE)
    assert failed(machine, CUT) == Ask()
    assert answered(machine, 20) == Send(20, SIZE)
    assert failed(machine, odd) == Ask()
    assert answered(machine, 20) == Send(20, SIZE)

    assert failed(machine, odd) == GiveUp(odd)


def test_a_refusal_is_final() -> None:
    refused = RefusedError("r", 403)

    assert failed(sending(upload(), 30), refused) == GiveUp(refused)


def test_a_disk_of_ours_that_fails_is_final() -> None:
    broken = StoreError("cannot read it")

    assert failed(sending(upload(), 30), broken) == GiveUp(broken)


def test_a_registry_that_asks_to_wait_is_waited_for_and_the_session_goes_on() -> None:
    machine = sending(upload(), 30)

    machine.failed(ThrottledError("r", 7.0), now=0.0)
    wait = machine.next_action()

    assert isinstance(wait, Wait)
    assert wait.seconds == 7.0
    assert machine.next_action() == Ask()


def test_a_longer_wait_than_anybody_has_is_not_begun() -> None:
    assert isinstance(failed(sending(upload(), 30), ThrottledError("r", 3000.0)), GiveUp)


def test_attempts_without_a_new_byte_end_it() -> None:
    machine = upload(attempts=3)
    action(machine)
    for _ in range(2):
        assert failed(machine, CUT) == Open()

    following = failed(machine, CUT)

    assert isinstance(following, GiveUp)
    assert isinstance(following.error, GaveUpError)


def test_new_bytes_start_the_count_anew() -> None:
    machine = upload(attempts=2)
    opened(machine)
    following: Action = Send(0, 30)
    for held in (30, 60, 90):
        assert isinstance(following, Send)
        sent(machine, held)
        assert failed(machine, CUT) == Ask()
        following = answered(machine, held)

    assert following == Send(90, 100)


def test_bytes_that_were_sent_before_are_no_progress() -> None:
    """A link that breaks earlier each time brings nothing, though pieces go through."""
    machine = upload(attempts=2)
    sending(machine, 60)
    failed(machine, CUT)
    answered(machine, None)
    after(machine, machine.opened)
    sent(machine)
    assert failed(machine, CUT) == Ask()
    assert answered(machine, None) == Open()
    after(machine, machine.opened)

    assert isinstance(failed(machine, CUT), GiveUp)


REPORTS: dict[str, Callable[[BlobUpload], None]] = {
    "opened": BlobUpload.opened,
    "sent": lambda machine: machine.sent(None, seconds=0.0, now=0.0),
    "answered": lambda machine: machine.answered(0, now=0.0),
    "closed": BlobUpload.closed,
    "looked": lambda machine: machine.looked(is_there=True, now=0.0),
    "failed": lambda machine: machine.failed(CUT, now=0.0),
}


@pytest.mark.parametrize("report", REPORTS)
def test_a_report_of_what_is_not_under_way_is_a_mistake(report: str) -> None:
    with pytest.raises(OutOfOrderError):
        REPORTS[report](upload())


def test_an_action_is_reported_before_the_next_one() -> None:
    machine = upload()
    machine.next_action()

    with pytest.raises(OutOfOrderError):
        machine.next_action()


# --- any registry, any link -------------------------------------------------------------------------------------

FAULTS = ("none", "none", "none", "cut", "cut late", "503", "forget", "429")


class Peer:
    """A registry as the machine sees it, on a link that fails as it is told.

    Args:
        blob: What is sent.
        faults: What happens to each request in turn; none behind the last.
        keeps: Whether a session survives a connection that breaks in the middle of a piece.
    """

    def __init__(self, blob: bytes, faults: list[str], *, keeps: bool) -> None:
        self.blob = blob
        self.session: bytearray | None = None
        self.held: bytes | None = None
        self._faults = iter(faults)
        self._keeps = keeps

    def perform(self, machine: BlobUpload, following: Action) -> None:
        """Do an action, and report."""
        fault = next(self._faults, "none")
        if fault == "forget":
            self.session = None
        if fault in {"cut", "503", "429"}:
            self._break(following, fault)
            errors = {"cut": CUT, "503": UnavailableError("r", 503), "429": ThrottledError("r", 1.0)}
            machine.failed(errors[fault], now=0.0)
            return
        report = self._done(machine, following)
        if fault == "cut late":  # it was done, and the answer is lost
            machine.failed(CUT, now=0.0)
        else:
            report()

    def _break(self, following: Action, fault: str) -> None:
        if not isinstance(following, Send) or self.session is None or fault != "cut":
            return
        if self._keeps and len(self.session) == following.offset:
            self.session += self.blob[following.offset : (following.offset + following.end) // 2]
        else:
            self.session = None

    def _done(self, machine: BlobUpload, following: Action) -> Callable[[], None]:
        session = self.session
        match following:
            case Open():
                self.session = bytearray()
                return machine.opened
            case Send(offset, end):
                if session is None:
                    return lambda: machine.failed(LOST, now=0.0)
                if len(session) != offset:
                    return lambda: machine.failed(MisbehavedError("r", "answers HTTP 416"), now=0.0)
                session += self.blob[offset:end]
                return lambda: machine.sent(len(session), seconds=1.0, now=0.0)
            case Ask():
                return lambda: machine.answered(None if session is None else len(session), now=0.0)
            case Close(whole):
                if whole and session is not None:
                    session += self.blob
                return self._close(machine)
            case _:
                return lambda: machine.looked(is_there=self.held is not None, now=0.0)

    def _close(self, machine: BlobUpload) -> Callable[[], None]:
        session, self.session = self.session, None
        if session is None:
            return lambda: machine.failed(LOST, now=0.0)
        if session != self.blob:
            return lambda: machine.failed(DigestMismatchError("the blob", "a", "b"), now=0.0)
        self.held = bytes(session)
        return machine.closed


@settings(max_examples=300, deadline=None)
@given(
    size=st.integers(0, 60),
    piece=st.integers(1, 40),
    faults=st.lists(st.sampled_from(FAULTS), max_size=40),
    keeps=st.booleans(),
)
def test_the_registry_ends_with_exactly_the_blob_or_an_error_says_why(
    size: int, piece: int, faults: list[str], *, keeps: bool
) -> None:
    machine = upload(size, attempts=3, piece=piece)
    peer = Peer(bytes(range(size)), faults, keeps=keeps)
    for _ in range(2000):
        following = machine.next_action()
        if isinstance(following, Done | GiveUp):
            break
        if not isinstance(following, Wait):
            peer.perform(machine, following)
    event(type(following).__name__)

    if isinstance(following, GiveUp):
        assert str(following.error)
    else:
        assert following == Done()
        assert peer.held == peer.blob


@given(faults=st.lists(st.sampled_from(("none", "cut", "cut late", "503")), max_size=25), keeps=st.booleans())
def test_who_is_patient_brings_every_blob_over_any_link(faults: list[str], *, keeps: bool) -> None:
    machine = upload(60, attempts=1, patience=1e9, piece=7)
    peer = Peer(bytes(range(60)), faults, keeps=keeps)
    following = machine.next_action()
    while not isinstance(following, Done | GiveUp):
        if not isinstance(following, Wait):
            peer.perform(machine, following)
        following = machine.next_action()

    assert following == Done()
    assert peer.held == peer.blob
