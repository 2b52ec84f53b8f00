"""What docker says when a registry does not give an image (moby-behaviour 3.5).

Rule: the words of a refusal are Docker's, for scripts look for them; those of a link that failed are Headway's, for
they say what is kept.
"""

from __future__ import annotations

from headway.engine.failures import AnsweredError
from headway.errors import (
    ConflictError,
    HeadwayError,
    NotFoundError,
    ProxyRefusedError,
    PullIncompleteError,
    RefusedError,
)
from headway.oci.reference import Reference


def is_missing_platform(error: HeadwayError) -> bool:
    """Whether there is an image of that name, and none for the platform that is wanted."""
    return isinstance(cause := _cause(error), NotFoundError) and cause.what == "platform"


def told_of_manifest(error: HeadwayError, reference: Reference) -> HeadwayError:
    """Return the error to answer a question for a manifest with (moby-behaviour 6.15): here a refusal is a 401."""
    cause = _cause(error)
    if isinstance(cause, RefusedError) and cause.status == 401 and not isinstance(cause, ProxyRefusedError):
        return AnsweredError(401, str(error))
    return told(error, reference)


def told(error: HeadwayError, reference: Reference) -> HeadwayError:
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
            return AnsweredError(404, f"no matching manifest for {wanted} in the manifest list entries: {cause.detail}")
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
