"""What is said of pulls that have ended."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable

from headway.cli.failures import DONE, tell
from headway.cli.progress import View
from headway.cli.session import say
from headway.errors import HeadwayError
from headway.oci.platform import is_satisfied_by
from headway.service.progress import PullDone
from headway.service.remote_image import PullRequest

Outcome = tuple[PullRequest, PullDone | HeadwayError]


def say_all(outcomes: Iterable[Outcome], view: View, options: Namespace) -> int:
    """Tell how each pull ended, and return the status of the first that failed."""
    status = DONE
    for request, outcome in outcomes:
        if isinstance(outcome, HeadwayError):
            failed = tell(outcome, options)
            status = status or failed
        else:
            _say(request, outcome, view, quiet=options.quiet)
    return status


def _say(request: PullRequest, done: PullDone, view: View, *, quiet: bool) -> None:
    if quiet:
        print(request.reference)
        return
    print(f"{done.reference}  {done.digest}   complete, verified")
    view.receipt(done.receipt)
    if not is_satisfied_by(request.platform, done.platform):
        say(
            f"warning: image with reference {done.reference} was found but does not match the specified "
            f"platform: wanted {request.platform}, actual: {done.platform}"
        )
