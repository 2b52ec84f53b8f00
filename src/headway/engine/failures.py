"""The one table that says which status an error is (moby-behaviour 6.1, "class -> status").

Rule: nothing else in the project knows an HTTP status for an error of ours. What is missing here is a bug: it gets
500, an ID, and its traceback in the log under that ID; the client sees the ID and nothing of the inside.
"""

from __future__ import annotations

import msgspec

from headway import wire
from headway.errors import (
    ConflictError,
    HeadwayError,
    NotFoundError,
    PullIncompleteError,
    RefusedError,
    RequestError,
    StoreBusyError,
    ThrottledError,
    UnavailableError,
    UnsupportedError,
)
from headway.service.bugs import bug_logged, foreseen


class ForbiddenError(RequestError):
    """A request that this address does not take from anybody, such as one that a web page sends."""


class NotRunError(RequestError):
    """A route of Docker's that belongs to what Headway does not do; the message says what does it."""


class AnsweredError(HeadwayError):
    """An error whose status and words a route has chosen, where Docker's clients look at both.

    Attributes:
        status: Of the HTTP answer.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class NoSwarmError(RequestError):
    """What belongs to a swarm is asked of a machine that is in none; clients know the words and go on."""


_STATUS: tuple[tuple[type[BaseException], int], ...] = (
    # The first that fits counts: subclasses stand above their bases.
    (NotFoundError, 404),
    (ConflictError, 409),
    (ForbiddenError, 403),
    (NotRunError, 501),
    (NoSwarmError, 503),
    (UnsupportedError, 501),
    (RequestError, 400),
    (RefusedError, 401),
    (ThrottledError, 429),
    (UnavailableError, 503),
    (StoreBusyError, 503),
    (HeadwayError, 500),
)


_CAPITAL = ("no such image: ", "no such container: ", "no such exec instance: ")


class Failure(msgspec.Struct, frozen=True):
    """What a client is told.

    Attributes:
        status: Of the HTTP answer.
        message: For a person.
    """

    status: int
    message: str


def failure(error: BaseException) -> Failure:
    """Return what a client is told of `error`, and log it where it is a bug of ours."""
    if isinstance(error, AnsweredError):
        return Failure(error.status, wire.as_text(str(error)))
    cause = error.cause if isinstance(error, PullIncompleteError) else error
    for kind, status in _STATUS:
        if isinstance(cause, kind):
            return Failure(status, _message(error))
    shortage = foreseen(error)
    return Failure(500, bug_logged(error) if shortage is None else str(shortage))


def _message(error: BaseException) -> str:
    """Return an error's words; those of what is missing begin as in Docker, for clients look for them."""
    words = wire.as_text(str(error))
    return f"N{words[1:]}" if words.startswith(_CAPITAL) else words
