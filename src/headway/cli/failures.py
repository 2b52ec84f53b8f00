"""What a failed command prints, and its exit status (docs/usage.md, "Exit codes").

Rule: it says what happened and on whose side, what was kept, and what to do next; a line without content is left out.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from typing import TypeVar

from headway.cli.terminal import one_line
from headway.cli.units import counted, size
from headway.errors import (
    Fault,
    HeadwayError,
    InvalidChangeError,
    InvalidDigestError,
    InvalidFilterError,
    InvalidPlatformError,
    InvalidReferenceError,
    InvalidSettingError,
    InvalidTimeError,
    OverBudgetError,
    PullIncompleteError,
    PushIncompleteError,
    RefusedError,
    StoreFullError,
    UnreachableError,
    root_cause,
)

T = TypeVar("T")
DONE, FINAL, USAGE, DISK_FULL, TRY_AGAIN, OVER_BUDGET, REFUSED, INTERRUPTED = 0, 1, 2, 73, 75, 76, 77, 130


def exit_status(error: HeadwayError) -> int:
    """Return the status a command leaves with."""
    match root_cause(error):
        case InvalidReferenceError() | InvalidPlatformError() | InvalidDigestError() | InvalidSettingError():
            return USAGE
        case InvalidFilterError() | InvalidTimeError() | InvalidChangeError():
            return USAGE
        case StoreFullError():
            return DISK_FULL
        case RefusedError():
            return REFUSED
        case OverBudgetError():
            return OVER_BUDGET
        case UnreachableError(fault=Fault.UNKNOWN_NAME):
            return FINAL
        case cause:
            return TRY_AGAIN if cause.retryable else FINAL


def each_of(items: Iterable[T], work: Callable[[T], object], options: Namespace) -> int:
    """Do the work for each item; explain a failure, and go on with the other items.

    Args:
        items: What is named on the command line, or meant by it.
        work: Called with each item.
        options: See `tell`.

    Returns:
        The status to leave with: that of the first failure.
    """
    status = DONE
    for item in items:
        try:
            work(item)
        except HeadwayError as error:
            failed = tell(error, options)
            status = status or failed
    return status


def tell(error: HeadwayError, options: Namespace) -> int:
    """Explain a failure on stderr, below its traceback with ``-D``; return the status to leave with.

    Args:
        error: What happened.
        options: The command line.
    """
    if options.debug:
        trace(error)
    print(explain(error, options.command), file=sys.stderr)
    return exit_status(error)


def trace(error: Exception) -> None:
    """Print the traceback of an error."""
    import traceback  # noqa: PLC0415  # hardly ever needed

    traceback.print_exception(error)


def explain(error: HeadwayError, command: str = "COMMAND") -> str:
    """Return the lines to print for a failure.

    Args:
        error: What happened.
        command: Name of the command, whose ``--help`` the advice may point to.
    """
    lines = [f"headway: {one_line(str(error))}{_side(error)}"]
    lines += [f"         {one_line(note)}" for note in getattr(error, "__notes__", [])]
    if isinstance(error, PullIncompleteError | PushIncompleteError):
        lines += [f"         {one_line(note)}" for note in getattr(root_cause(error), "__notes__", [])]
        if kept := _kept(error):
            lines.append(f"kept: {kept}")
    from headway.cli.advice import advice  # noqa: PLC0415  # only who fails pays for it

    lines.append(f"next: {advice(error, command)}")
    return "\n".join(lines)


def _side(error: HeadwayError) -> str:
    is_transfer = isinstance(error, PullIncompleteError | PushIncompleteError)
    return f" ({error.side})" if is_transfer and error.side is not None else ""


def _kept(error: PullIncompleteError | PushIncompleteError) -> str:
    whole = f"{error.whole_layers} of {counted(error.layers, 'layer')}"
    if isinstance(error, PushIncompleteError):
        return f"{whole} at the registry; none of it will be sent again" if error.whole_layers else ""
    if not error.total_bytes:
        return "nothing had arrived yet" if error.layers == 0 and root_cause(error).retryable else ""
    if not error.kept_bytes:
        return f"nothing of {size(error.total_bytes)}"
    return f"{size(error.kept_bytes)} of {size(error.total_bytes)}; {whole} whole; none of it will be fetched again"
