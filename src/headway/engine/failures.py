"""The one table of HTTP statuses by error (moby-behaviour 6.1, "class -> status").

Rule: nothing else in the project assigns an HTTP status to an error of ours. An exception that is missing here is a
bug: the client gets a 500 with an ID and no details, and the traceback goes into the log under that ID.
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
    """A request that this address never accepts, such as one that a web page sends."""


class NotRunError(RequestError):
    """A route of Docker's for something that Headway does not do; the message says what does it instead."""


class AnsweredError(HeadwayError):
    """An error with a status and a message chosen by a route, because Docker's clients look at both.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class NoSwarmError(RequestError):
    """A request about a swarm, which there is none of; clients recognise the message and go on."""


_STATUS: tuple[tuple[type[BaseException], int], ...] = (
    # The first match counts, so subclasses stand above their bases.
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
    """The answer to a request that failed.

    Attributes:
        status: The HTTP status.
        message: A sentence for people.
    """

    status: int
    message: str


def failure(error: BaseException) -> Failure:
    """Return the answer for `error`, and log the error if it is a bug of ours."""
    if isinstance(error, AnsweredError):
        return Failure(error.status, wire.as_text(str(error)))
    cause = error.cause if isinstance(error, PullIncompleteError) else error
    for kind, status in _STATUS:
        if isinstance(cause, kind):
            return Failure(status, _message(error))
    shortage = foreseen(error)
    return Failure(500, bug_logged(error) if shortage is None else str(shortage))


def _message(error: BaseException) -> str:
    """Return an error's message; "No such ..." has Docker's capital letter, for clients look for it."""
    words = wire.as_text(str(error))
    return f"N{words[1:]}" if words.startswith(_CAPITAL) else words
