"""Progress of a pull as Docker's messages (moby-behaviour 2.3 and 3.3), and its errors as docker reports them (3.5).

Rule 1: bars are keyed by their layer, so that a client that reads slowly gets the latest one and not every one.
Rule 2: a wait is a line that stays where it is printed: it is said once, and not each second.
Rule 3: the words of a refusal are Docker's, for scripts look for them; those of a link that failed are Headway's, for
        they say what is kept.
"""

from __future__ import annotations

from headway.engine.failures import AnsweredError
from headway.engine.messages import Emit, Message, bar, retrying, said, step, waiting
from headway.errors import (
    ConflictError,
    HeadwayError,
    NotFoundError,
    ProxyRefusedError,
    PullIncompleteError,
    RefusedError,
)
from headway.oci.digest import Digest
from headway.oci.platform import Platform, is_satisfied_by
from headway.oci.reference import Reference
from headway.service.transfers.progress import LayerProgress, Phase, PullDone, PullEvent, PullStarted, Waiting, Waits

_WHOLE = ("Verifying Checksum", "Download complete")


class PullMessages:
    """Turns the events of one pull into messages.

    Args:
        reference: What is pulled.
        emit: Takes the messages.
    """

    def __init__(self, reference: Reference, emit: Emit) -> None:
        self._reference = reference
        self._emit = emit
        self._said: set[tuple[Digest, str]] = set()
        self._waits = Waits()
        self._has_begun = False
        self._is_here = False

    def begin(self) -> None:
        """Tell, once, that the name is known."""
        if not self._has_begun:
            self._has_begun = True
            self._emit(said(f"Pulling from {self._reference.path}", _subject(self._reference)), "")

    def __call__(self, event: PullEvent) -> None:
        """Tell of one event."""
        match event:
            case Waiting() if self._waits.is_new(event):
                self._emit(waiting(event.cause, event.retry_seconds), event.reference)
            case PullStarted():
                self._is_here = event.is_here
                self.begin()
            case LayerProgress():
                self._layer(event)
            case PullDone():
                self._emit(said(f"Digest: {event.digest}"), "")
            case _:
                pass

    def _layer(self, event: LayerProgress) -> None:
        subject = event.digest.short
        if event.phase is Phase.HERE:
            if not self._is_here:  # docker names no layers of an image that it has
                self._once(event.digest, "Already exists")
            return
        self._once(event.digest, "Pulling fs layer")
        match event.phase:
            case Phase.WAITING:
                self._once(event.digest, "Waiting")
            case Phase.DOWNLOADING if event.held < event.size:
                self._emit(bar("Downloading", subject, event.held, event.size), subject)
            case Phase.RETRYING:
                self._emit(retrying(event.retry_seconds, subject), subject)
            case Phase.UNPACKING:
                self._once(event.digest, *_WHOLE)
                self._emit(bar("Extracting", subject, event.unpacked, event.size), subject)
            case Phase.DONE:
                self._once(event.digest, *_WHOLE, "Pull complete")

    def _once(self, digest: Digest, *statuses: str) -> None:
        for status in statuses:
            if (digest, status) not in self._said:
                self._said.add((digest, status))
                self._emit(step(status, digest.short), "")


def _subject(reference: Reference) -> str:
    return reference.familiar if reference.digest else reference.tag or "latest"


def status_line(name: str, *, updated: bool) -> Message:
    """Return the last line of a pull; `name` is a reference, or a repository where all its tags were pulled."""
    what = "Downloaded newer image for" if updated else "Image is up to date for"
    return said(f"Status: {what} {name}")


def not_whole(repository: Reference, number: int, failed: list[str]) -> str:
    """Return what the pull of all `number` tags of a repository ends with, where those in `failed` were not pulled."""
    return f"{len(failed)} of {number} tags of {repository.familiar} not complete: {', '.join(failed)}"


def platform_warning(wanted: Platform, done: PullDone) -> Message | None:
    """Return the line for an image that is of another platform than was asked for, or None."""
    if is_satisfied_by(wanted, done.platform):
        return None
    return said(
        f"WARNING: image with reference {done.reference} was found but does not match the specified platform: "
        f"wanted {wanted}, actual: {done.platform}"
    )


def is_missing_platform(error: HeadwayError) -> bool:
    """Whether there is an image of that name, and none for the platform that is wanted."""
    return isinstance(cause := _cause(error), NotFoundError) and cause.what == "platform"


def manifest_error(error: HeadwayError, reference: Reference) -> HeadwayError:
    """Return the error to answer a question for a manifest with (moby-behaviour 6.15): here a refusal is a 401."""
    cause = _cause(error)
    if isinstance(cause, RefusedError) and cause.status == 401 and not isinstance(cause, ProxyRefusedError):
        return AnsweredError(401, str(error))
    return pull_error(error, reference)


def pull_error(error: HeadwayError, reference: Reference) -> HeadwayError:
    """Return the error to answer a pull of `reference` with."""
    match cause := _cause(error):
        case ConflictError():
            return cause
        case NotFoundError(what="repository" | "manifest", detail=detail) if detail.startswith("name unknown"):
            return AnsweredError(404, f"repository {reference.familiar_name} not found: {detail}")
        case NotFoundError(what="manifest", detail=detail):
            detail = detail or "manifest unknown"
            return AnsweredError(404, f"manifest for {reference.familiar} not found: {detail}")
        case NotFoundError(what="platform"):
            wanted = cause.name.partition(" in ")[0]
            offered = f": {cause.detail}" if cause.detail else ""
            return AnsweredError(404, f"no matching manifest for {wanted} in the manifest list entries{offered}")
        case RefusedError(code="DENIED"):
            return AnsweredError(
                404,
                f"pull access denied for {reference.familiar_name}, repository does not exist or may require "
                f"'docker login': {cause.said or 'denied'}",
            )
        case RefusedError():
            # Not 401: docker would ask for a login, which may not be what is missing.
            return AnsweredError(500, str(error))
    return error


def _cause(error: HeadwayError) -> HeadwayError:
    return error.cause if isinstance(error, PullIncompleteError) else error
