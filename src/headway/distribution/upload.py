"""Sans-I/O upload of one blob (distribution-spec, "Pushing a blob in chunks", and "POST then PUT").

Rule 1: every decision about pieces, sessions, restarts and giving up is in this file and in `backoff`.
Rule 2: this file does not know what a URL, a file or a clock is.
Rule 3: the registry says how many bytes it holds. After a failure it is asked; bytes that it has kept are progress, and
        not sent again. If it has lost the session, this blob alone starts again.
Rule 4: if a registry refuses the first piece, or says that it has nothing of it, the whole blob is sent with the
        request that ends the session; a cut then costs all of it.
Rule 5: a registry that forgets accepted bytes, though no connection broke, is given up: it would do so for ever.
Rule 6: a web page in place of the registry (a captive portal) says nothing about the session; it is waited out.
Rule 7: a blob counts as pushed when the registry confirms it to a HEAD, not when it takes the last byte. Some confirm
        it only a moment later, and some although they refused the last request, as when another client was faster.
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
LOOK_AGAIN_SECONDS = (1.0, 4.0)  # a cache in front of the registry may remember that the blob was absent


class Open(msgspec.Struct, frozen=True):
    """Begin a session, and report with `BlobUpload.opened`."""


class Send(msgspec.Struct, frozen=True):
    """Send the bytes from `offset` up to `end`, and report with `BlobUpload.sent`."""

    offset: int
    end: int


class Ask(msgspec.Struct, frozen=True):
    """Ask how many bytes of the session the registry has, and report with `BlobUpload.answered`."""


class Close(msgspec.Struct, frozen=True):
    """End the session, which makes it the blob, and report with `BlobUpload.closed`.

    Attributes:
        whole: Whether to send the whole blob with this request, as nothing of it was sent before.
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

    The caller performs each action and reports what happened: with the method that the action names, or with `failed`.

    Args:
        size: Size of the blob, in bytes.
        endpoint: Name of the registry, for messages.
        retries: Decides whether and when to try again.
        is_whole: Whether the registry is known to take blobs in one request only.

    Attributes:
        retries: As given.
        piece: Largest size of a piece, in bytes; may be changed between actions.
        is_whole: Whether the registry was found to take blobs in one request only.
    """

    def __init__(self, size: int, *, endpoint: str, retries: Retries, is_whole: bool = False) -> None:
        self.retries = retries
        self.piece = PIECE_BYTES
        self.is_whole = is_whole
        self._size = size
        self._endpoint = endpoint
        self._next: Action | None = Open()  # None: send what is left
        self._under_way: Action | None = None
        self._wait: Wait | None = None  # due before the next action
        self._offset = 0
        self._best = 0
        self._best_at_failure = 0
        self._least = 0  # the smallest piece that the registry wants
        self._most = PIECE_BYTES * 1024  # the largest piece that it has been found to take
        self._in_one_piece = False
        self._link_broke = False
        self._is_closed = False
        self._close_refused: HeadwayError | None = None
        self._looks = 0
        self._began_anew = False
        self._forgotten = self._refusals = 0

    @property
    def offset(self) -> int:
        """How many bytes the registry has said it holds."""
        return self._offset

    def next_action(self) -> Action:
        """Return the action to perform now. After a `Wait` has passed, the next call returns the action behind it.

        Raises:
            OutOfOrderError: The last action has not been reported.
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

    # Reports

    def opened(self, *, least: int = 0) -> None:
        """Report that a session has begun; `least` is the smallest piece that the registry wants (0: any size).

        Raises:
            OutOfOrderError: The last action was not an `Open`. The other reports raise it likewise.
        """
        self._expect(Open)
        self._least = least
        self._offset = 0
        self._link_broke = self._is_closed = False
        self._close_refused = None
        self._looks = 0
        self._next = None

    def sent(self, held: int | None, *, seconds: float, now: float) -> None:
        """Report that a piece was accepted.

        Args:
            held: How many bytes the registry says it has; None where it does not say.
            seconds: How long it took.
            now: Monotonic time, in seconds.
        """
        send = self._expect(Send)
        if held is None or held > send.end:
            held = send.end  # some registries name no usable number: the next piece, or the digest, will show
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

    def answered(self, held: int | None, *, now: float) -> None:
        """Report the answer to an `Ask`: how many bytes the registry has; None if it does not know the session."""
        self._expect(Ask)
        if held is None or held > self._size:
            self._lost(now=now)
            return
        kept = max(0, held - self._offset)  # of the piece that failed
        if held > self._best:
            self._best_at_failure = held  # these bytes count for the attempt that failed, not for the next one
        self._holds(held, flowed_bytes=kept, seconds=0.0, now=now)

    def closed(self) -> None:
        """Report that the registry has ended the session successfully."""
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
        """Report that the last action failed."""
        action, self._under_way = self._under_way, None
        if isinstance(error, StoreError):
            self._give_up(error)  # the disk is on our side: another request would not help
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
                self._lost(now=now)  # some registries do not support this request
            case _:
                self._retry(error, self._next, now=now)

    def _send_failed(self, send: Send, error: HeadwayError, *, now: float) -> None:
        is_first = send.offset == 0 and not self._link_broke
        match error:
            case RejectedError() if is_first:
                self._take_for_whole()
            case NotFoundError() if is_first and self._forgotten:  # at first it may have been restarted
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
        """Decide what follows a refused piece: some registries take a blob in one piece only."""
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
            case NotFoundError():  # the session may be gone because the blob exists
                self._retry(MisbehavedError(self._endpoint, "does not know an upload at its end"), Look(), now=now)
            case _:
                self._retry(error, Look(), now=now)

    def _send_anew(self, refused: HeadwayError) -> None:
        """Start again, once, after the end of an upload was refused and the blob is absent."""
        if self._began_anew:
            self._give_up(refused)
        else:
            self._began_anew = True
            self._next = Open()

    def _not_there(self, how: str, *, now: float) -> None:
        """Look again a little later, before a blob that was accepted is sent again."""
        if self._looks == len(LOOK_AGAIN_SECONDS):
            self._forgot(how, now=now)
            return
        seconds = LOOK_AGAIN_SECONDS[self._looks]
        self._looks += 1
        self._wait = Wait(seconds, MisbehavedError(self._endpoint, how), self._looks)

    def _lost(self, *, now: float) -> None:
        """Start again, as the registry no longer knows the session."""
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
