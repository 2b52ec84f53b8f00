"""Prints how pulls have ended."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable

from headway.cli.failures import DONE, exit_status, tell
from headway.cli.progress import View
from headway.cli.session import say
from headway.cli.table import SCHEMA, json_text
from headway.errors import HeadwayError, PullIncompleteError
from headway.oci.platform import is_satisfied_by
from headway.service.registries.remote_image import PullRequest
from headway.service.transfers.progress import PullDone

Outcome = tuple[PullRequest, PullDone | HeadwayError]


def say_all(outcomes: Iterable[Outcome], view: View, options: Namespace) -> int:
    """Tell how each pull ended, and return the status of the first that failed."""
    status = DONE
    is_json = options.format == "json" and not options.quiet
    items = []
    for request, outcome in outcomes:
        items.append(_document(request, outcome))
        if isinstance(outcome, HeadwayError):
            failed = tell(outcome, options)
            status = status or failed
        elif options.quiet:
            print(request.reference)
        else:
            if not is_json:
                print(f"{outcome.reference}  {outcome.digest}   complete, verified")
            _say(request, outcome, view)
    if is_json:
        print(json_text({"schema": SCHEMA, "items": items}, indent=1))
    return status


def _document(request: PullRequest, outcome: PullDone | HeadwayError) -> dict[str, object]:
    """Return how a pull ended, for programs."""
    if isinstance(outcome, PullDone):
        return {
            "reference": outcome.reference,
            "is_complete": True,
            "digest": outcome.digest,
            "image_id": outcome.image_id,
            "platform": str(outcome.platform),
            "updated": outcome.updated,
            "receipt": outcome.receipt,
        }
    reference, kept, size = request.reference.familiar, 0, 0
    if isinstance(outcome, PullIncompleteError):  # which may be another's, where all are planned before
        reference, kept, size = outcome.reference, outcome.kept_bytes, outcome.total_bytes
    return {
        "reference": reference,
        "is_complete": False,
        "error": str(outcome),
        "status": exit_status(outcome),
        "kept": kept,
        "size": size,
    }


def _say(request: PullRequest, done: PullDone, view: View) -> None:
    view.receipt(done.receipt)
    if not is_satisfied_by(request.platform, done.platform):
        say(
            f"warning: image with reference {done.reference} was found but does not match the specified "
            f"platform: wanted {request.platform}, actual: {done.platform}"
        )
