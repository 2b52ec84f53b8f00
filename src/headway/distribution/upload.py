"""Sans-I/O upload of one blob (distribution-spec, "Pushing a blob in chunks", and "POST then PUT").

Rule 1: every decision about pieces, sessions, restarts and giving up is in this file and in `backoff`.
Rule 2: this file does not know what a URL, a file or a clock is.
Rule 3: what the registry holds is what the registry says. After a failure it is asked; what it kept is progress, and is
        not sent again, and where it has lost the session, this blob alone starts anew.
Rule 4: where a registry takes no first piece, or says that it has nothing of it, the blob goes whole with the request
        that ends the session: a cut costs all of it then.
Rule 5: a registry that forgets what it took, though no connection broke, is given up: it would do so for ever.
Rule 6: a web page in a registry's place (a captive portal) says nothing of the session, and is waited for.
Rule 7: the registry has the blob when it says so to a question, not when it takes the last byte; some say so only a
        moment later, and some say so though they refused the last request, as where somebody else was faster.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from headway.distribution.backoff import GiveUp, Retries, Wait
from headway.distribution.connection_lives import MIN_PIECE_BYTES, PIECE_BYTES
from headway.errors import (
    DigestMismatchError,
    ForgetfulRegistryError,
    HeadwayError,
    MisbehavedError,
    NotFoundError,
    OutOfOrderError,
    RejectedError,
    StoreError,
    TooLargeError,
    UnavailableError,
    UnreachableError,
    WebPageError,
)

MAX_FORGOTTEN = 3
REFUSALS_OF_PIECES = 2
MAX_REFUSALS = 4
LOOK_AGAIN_SECONDS = (1.0, 4.0)  # a cache before the registry may remember for a moment that the blob was not there


class Open(msgspec.Struct, frozen=True):
    """Begin a session, and report with `BlobUpload.opened`."""


class Send(msgspec.Struct, frozen=True):
    """Send the bytes from `offset` up to `end`, and report with `BlobUpload.sent`."""

    offset: int
    end: int


class Ask(msgspec.Struct, frozen=True):
    """Ask how much of the session is there, and report with `BlobUpload.told`."""


class Close(msgspec.Struct, frozen=True):
    """Let the session become the blob, and report with `BlobUpload.closed`.

    Attributes:
        whole: Whether to send the whole blob with that: nothing of it was sent before.
    """

    whole: bool = False


class Look(msgspec.Struct, frozen=True):
    """Ask whether the registry has the blob, and report with `BlobUpload.looked`."""


class Done(msgspec.Struct, frozen=True):
    """The registry has the blob. There is nothing to report."""


_A = TypeVar("_A")
Action = Open | Send | Ask | Close | Look | Wait | Done | GiveUp


class BlobUpload:
    """Decide what to do next while one blob is sent, without doing it.

    The caller performs each action and reports what happened: what came of it, or `failed`.

    Args:
        size: Of the blob, in bytes.
        endpoint: Who takes it, for messages.
        retries: Decides whether and when to try again.
        is_whole: Whether the registry is known to take a blob whole only, and no pieces.

    Attributes:
        retries: As given.
        piece: How large a piece may be, in bytes; may be changed between actions.
        is_whole: Whether it was found to.
    """

    def __init__(self, size: int, *, endpoint: str, retries: Retries, is_whole: bool = False) -> None:
        self.retries = retries
        self.piece = PIECE_BYTES
        self.is_whole = is_whole
        self._size = size
        self._endpoint = endpoint
        self._next: Action | None = Open()  # None to send what is left
        self._under_way: Action | None = None
        self._wait: Wait | None = None  # before the next action
        self._offset = 0
        self._best = 0
        self._best_at_failure = 0
        self._least = 0  # what the registry wants a piece to be at least
        self._most = PIECE_BYTES * 1024  # what it has shown to take at most
        self._in_one_piece = False
        self._link_broke = False
        self._is_closed = False
        self._close_refused: HeadwayError | None = None
        self._looks = 0
        self._began_anew = False
        self._forgotten = self._refusals = 0

    @property
    def offset(self) -> int:
        """How many bytes the registry holds, as far as it has said."""
        return self._offset

    def next_action(self) -> Action:
        """Return the action to perform now. A `Wait` is due once: the action after it follows when it has passed.

        Raises:
            OutOfOrderError: The action before has not been reported.
        """
        if self._under_way is not None:
            raise OutOfOrderError(f"next_action while {type(self._under_way).__name__} is under way")
        if self._wait is not None:
            wait, self._wait = self._wait, None
            return wait
        action = self._sending() if self._next is None else self._next
        if not isinstance(action, Done | GiveUp):
            self._under_way = action
        return action

    def _sending(self) -> Send | Close:
        if self._offset == self._size:
            return Close()
        return Close(whole=True) if self.is_whole else Send(self._offset, self._end())

    def _end(self) -> int:
        if self._in_one_piece:
            return self._size
        return min(self._size, self._offset + max(self._least, min(self.piece, self._most)))

    # What came of an action

    def opened(self, *, least: int = 0) -> None:
        """Report that a session has begun; `least` is how large the registry wants a piece to be (0: any size).

        Raises:
            OutOfOrderError: No `Open` is under way. The other reports raise it likewise.
        """
        self._expect(Open)
        self._least = least
        self._offset = 0
        self._link_broke = self._is_closed = False
        self._close_refused = None
        self._looks = 0
        self._next = None

    def sent(self, held: int | None, *, seconds: float, now: float) -> None:
        """Report that a piece was taken.

        Args:
            held: How many bytes the registry says it has; None where it does not say.
            seconds: How long it took.
            now: Monotonic time, in seconds.
        """
        send = self._expect(Send)
        if held is None or held > send.end:
            held = send.end  # some say nothing of use; the next piece, or the digest, will show
        if held <= send.offset == 0:
            self._take_for_whole()
            return
        if held <= send.offset:
            self._forgot(f"takes bytes {send.offset}-{send.end} and says that it has {held}", now=now)
            return
        if held > self._best:
            self._refusals = 0
        self._holds(held, flowed_bytes=held - send.offset, seconds=seconds, now=now)

    def _holds(self, held: int, *, flowed_bytes: int, seconds: float, now: float) -> None:
        self._offset = held
        self._next = None
        new_bytes = max(0, held - self._best)
        self._best = max(held, self._best)
        self.retries.progressed(new_bytes, flowed_bytes=flowed_bytes, seconds=seconds, now=now)

    def told(self, held: int | None, *, now: float) -> None:
        """Report what a registry says of the session: how many bytes it has, None where it knows no such session."""
        self._expect(Ask)
        if held is None or held > self._size:
            self._lost(now=now)
            return
        kept = max(0, held - self._offset)  # of the piece that failed
        if held > self._best:
            self._best_at_failure = held  # it was counted already, and the next one has brought nothing of this
        self._holds(held, flowed_bytes=kept, seconds=0.0, now=now)

    def closed(self) -> None:
        """Report that the registry says it has made a blob of the session."""
        self._expect(Close)
        self._is_closed = True
        self._next = Look()

    def looked(self, *, is_there: bool, now: float) -> None:
        """Report whether the registry has the blob."""
        self._expect(Look)
        if is_there:
            self._next = Done()
        elif self._close_refused is not None:
            self._send_anew(self._close_refused)
        elif self._is_closed:
            self._not_there("says that it has taken a blob, and does not have it", now=now)
        elif self.is_whole:
            self._lost(now=now)
        else:
            self._next = Ask()

    def failed(self, error: HeadwayError, *, now: float) -> None:
        """Report that the action under way failed."""
        action, self._under_way = self._under_way, None
        if isinstance(error, StoreError):
            self._give_up(error)  # no other request would mend our disk
            return
        if isinstance(error, UnreachableError | UnavailableError | WebPageError):
            self._link_broke = True
        match action:
            case None:
                raise OutOfOrderError("a failure is reported, and nothing is under way")
            case Send():
                self._send_failed(action, error, now=now)
            case Close():
                self._close_failed(error, now=now)
            case Ask() if isinstance(error, MisbehavedError | RejectedError) and not isinstance(error, WebPageError):
                self._lost(now=now)  # some registries do not answer this question
            case _:
                self._retry(error, self._next, now=now)

    def _send_failed(self, send: Send, error: HeadwayError, *, now: float) -> None:
        is_first = send.offset == 0 and not self._link_broke
        match error:
            case RejectedError() if is_first:
                self._take_for_whole()
            case NotFoundError() if is_first and self._forgotten:  # once, and it has lost the session: it was restarted
                self._take_for_whole()
            case NotFoundError():
                self._lost(now=now)
            case TooLargeError() if send.end - send.offset > max(MIN_PIECE_BYTES, self._least):
                self._most = max(MIN_PIECE_BYTES, (send.end - send.offset) // 2)
                self._in_one_piece = False
                self._next = Ask()
            case WebPageError():  # the registry has not seen the piece
                self._retry(error, Ask(), now=now)
            case MisbehavedError():
                self._refused(send, error, now=now)
            case _:
                self._retry(error, Ask(), now=now)

    def _take_for_whole(self) -> None:
        self.is_whole = True
        self._next = Open()

    def _refused(self, send: Send, error: HeadwayError, *, now: float) -> None:
        """Decide where a piece was refused: some registries take a blob in one piece only."""
        self._refusals += 1
        is_again = self._refusals >= REFUSALS_OF_PIECES
        if self._refusals >= MAX_REFUSALS:
            self._give_up(error)
        elif is_again and not send.offset:
            self._take_for_whole()
        elif is_again and send.offset and not self._in_one_piece:
            self._in_one_piece = True
            self._next = Open()
        else:
            self._retry(error, Ask(), now=now)

    def _close_failed(self, error: HeadwayError, *, now: float) -> None:
        match error:
            case WebPageError():
                self._retry(error, Look(), now=now)
            case DigestMismatchError() | MisbehavedError():
                self._close_refused = error
                self._next = Look()
            case NotFoundError():  # the session may be gone because the blob is there
                self._retry(MisbehavedError(self._endpoint, "does not know an upload at its end"), Look(), now=now)
            case _:
                self._retry(error, Look(), now=now)

    def _send_anew(self, refused: HeadwayError) -> None:
        """Begin anew, once, where the end of an upload was refused and the blob is not there."""
        if self._began_anew:
            self._give_up(refused)
        else:
            self._began_anew = True
            self._next = Open()

    def _not_there(self, how: str, *, now: float) -> None:
        """Look again a little later before a blob that was taken is sent again."""
        if self._looks == len(LOOK_AGAIN_SECONDS):
            self._forgot(how, now=now)
            return
        seconds = LOOK_AGAIN_SECONDS[self._looks]
        self._looks += 1
        self._wait = Wait(seconds, MisbehavedError(self._endpoint, how), self._looks)

    def _lost(self, *, now: float) -> None:
        """Start anew where the registry knows the session no more."""
        if not self._link_broke:
            self._forgot("begins an upload, and knows nothing of it any more", now=now)
            return
        self._link_broke = False
        self._offset = 0
        self._next = Open()

    def _forgot(self, how: str, *, now: float) -> None:
        self._forgotten += 1
        error = ForgetfulRegistryError(self._endpoint, how)
        if self._forgotten >= MAX_FORGOTTEN:
            self._give_up(error)
            return
        self._offset = 0
        self._retry(MisbehavedError(self._endpoint, how), Open(), now=now)

    def _retry(self, error: HeadwayError, following: Action | None, *, now: float) -> None:
        brought_bytes = self._best > self._best_at_failure
        self._best_at_failure = self._best
        decision = self.retries.failed(error, now=now, brought_bytes=brought_bytes)
        decision = self.retries.unless_too_long(decision, now=now)
        if isinstance(decision, GiveUp):
            self._next = decision
        else:
            self._next, self._wait = following, decision

    def _give_up(self, error: HeadwayError) -> None:
        self._next = GiveUp(error)

    def _expect(self, kind: type[_A]) -> _A:
        action, self._under_way = self._under_way, None
        if not isinstance(action, kind):
            self._under_way = action
            raise OutOfOrderError(f"a report of {kind.__name__} while {type(action).__name__} is under way")
        return action
