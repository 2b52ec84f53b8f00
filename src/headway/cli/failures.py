"""What a failed command says, and the status it leaves with (docs/usage.md, "Exit codes").

Rule: what happened and on whose side, what is kept, what to do next; a line that has nothing to say is left out.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from typing import TypeVar

from headway.cli.terminal import one_line
from headway.cli.units import counted, duration, size
from headway.distribution.remedies import IN_BETWEEN, refusal_remedy, remedy
from headway.errors import (
    NO_MORE_FILES,
    ConflictError,
    DigestMismatchError,
    Fault,
    HeadwayError,
    IntegrityError,
    InvalidArchiveError,
    InvalidChangeError,
    InvalidDigestError,
    InvalidDocumentError,
    InvalidFilterError,
    InvalidPlatformError,
    InvalidReferenceError,
    InvalidSettingError,
    InvalidTimeError,
    KeyDamagedError,
    NoDaemonError,
    NoDockerError,
    NoImagesError,
    NoRecipeError,
    NoSuchOwnerError,
    NotFoundError,
    OverBudgetError,
    ProxyRefusedError,
    PullIncompleteError,
    PushIncompleteError,
    RefusedError,
    RegistryError,
    RequestError,
    ShortageError,
    Side,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreTooNewError,
    ThrottledError,
    TooLargeError,
    UnavailableError,
    UnreachableError,
    UnsupportedError,
    WebPageError,
    WindowTooLargeError,
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
    """Do something with each item; what fails is explained, and the others are done.

    Args:
        items: What is named on the command line, or meant by it.
        work: Does it with one.
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
    """Explain a failure on stderr, behind its traceback where ``-D`` asks for one; return the status to leave with.

    Args:
        error: What happened.
        options: The command line.
    """
    if options.debug:
        trace(error)
    print(explain(error, options.command), file=sys.stderr)
    return exit_status(error)


def trace(error: Exception) -> None:
    """Show where an error came from."""
    import traceback  # noqa: PLC0415  # only who asks for it pays for it

    traceback.print_exception(error)


def explain(error: HeadwayError, command: str = "COMMAND") -> str:
    """Return the lines to print for a failure.

    Args:
        error: What happened.
        command: Whose ``--help`` tells how it is used.
    """
    lines = [f"headway: {one_line(str(error))}{_side(error)}"]
    lines += [f"         {one_line(note)}" for note in getattr(error, "__notes__", [])]
    if isinstance(error, PullIncompleteError | PushIncompleteError):
        lines += [f"         {one_line(note)}" for note in getattr(root_cause(error), "__notes__", [])]
        if kept := _kept(error):
            lines.append(f"kept: {kept}")
    lines.append(f"next: {_advice(error, command)}")
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


def _advice(error: HeadwayError, command: str) -> str:
    cause = root_cause(error)
    if advice := _particular(cause, command):
        return advice
    for kind, advice in _ADVICE.items():
        if isinstance(cause, kind):
            return advice.replace("COMMAND", command)
    if isinstance(error, PullIncompleteError) and isinstance(cause, StoreError):
        return "see to that disk (dmesg may say more), and run the same command to go on"
    if isinstance(error, PushIncompleteError):
        return _SEND_ON if cause.retryable else "this will not get better by itself: tell whoever runs the registry"
    if isinstance(error, PullIncompleteError):
        is_registrys = isinstance(cause, RegistryError) or (isinstance(cause, DigestMismatchError) and cause.endpoint)
        whom = "runs the registry" if is_registrys else "publishes the image"
        return _GO_ON if cause.retryable else f"this will not get better by itself: tell whoever {whom}"
    if isinstance(cause, RegistryError) and not cause.retryable:
        return "this will not get better by itself: tell whoever runs the registry"
    return "run the same command again" if cause.retryable else "run it again with -D for details"


def _particular(cause: HeadwayError, command: str) -> str:
    """Return the advice that depends on more than the kind of error, nothing where there is none."""
    match cause:
        case IntegrityError() if command in _FROM_ARCHIVES and type(cause) not in _ADVICE:
            return _ADVICE[InvalidArchiveError]
        case InvalidDocumentError() if command == "bundle":
            return "tell whoever publishes the image; headway unpack writes its files all the same"
        case RequestError():
            return _of_request(cause, command)
        case RegistryError():
            return _of_registry(cause, command)
        case _:
            return _of_here(cause)


def _of_request(cause: RequestError, command: str) -> str:
    match cause:
        case ConflictError():
            return _way_out(cause, command)
        case InvalidSettingError(file=file) if file:
            return f"mend {file}, and run the same command again"
        case NotFoundError(what="image") if command == "adopt":
            return "check the name; docker images lists what Docker has"
        case NotFoundError(what="platform", detail="") if command == "pull":
            return "tell whoever publishes it that this index lists no image, for whatever platform"
        case NotFoundError(side=Side.REGISTRY):
            return _GONE
        case NotFoundError(what=what):
            return _WHERE_TO_LOOK.get(what, "check the name and the tag: the registry has nothing of that name")
        case UnsupportedError() if command == "pull":
            return "this will not get better by itself: tell whoever publishes the image"
        case _:
            return ""


def _of_here(cause: HeadwayError) -> str:
    match cause:
        case NoDaemonError(forbidden=True):
            return "run it as root, or as a member of the group that the daemon's socket belongs to"
        case NoDaemonError(tls=True):
            return (
                "see to ca.pem, cert.pem and key.pem where HEADWAY_CERT_PATH or DOCKER_CERT_PATH says, and to its own"
            )
        case StoreBusyError(pid=pid):
            return f"wait for process {pid} to end, and run the same command"
        case StoreError(__cause__=OSError(errno=number)) if number in NO_MORE_FILES:
            return _ADVICE[ShortageError]
        case StoreError() if type(cause) is StoreError:
            return _WHAT_STOPS.get(type(cause.__cause__), "")
        case _:
            return ""


def _of_registry(cause: RegistryError, command: str) -> str:
    match cause:
        case UnreachableError():
            return remedy(cause)
        case RefusedError():
            is_shown = command == "login" and not isinstance(cause, ProxyRefusedError)
            return "check user and password, and log in again" if is_shown else refusal_remedy(cause)
        case ThrottledError() | UnavailableError():
            return _when_to_ask(cause)
        case _:
            return ""


def _way_out(conflict: ConflictError, command: str) -> str:
    if "cannot be forced" in str(conflict):  # docker's words, which are in the message
        return "remove first what needs it"
    forced = ", or add --force" if command in _FORCEABLE else ""
    return f"see to what is in the way, or name another{forced}"


def _when_to_ask(cause: ThrottledError | UnavailableError) -> str:
    seconds = cause.wait_seconds or cause.retry_after_seconds
    quota = f" (quota: {cause.quota})" if isinstance(cause, ThrottledError) and cause.quota else ""
    if seconds:
        return f"run the same command in {duration(seconds)} to go on{quota}"
    return _GO_ON + quota if quota else ""


_GO_ON = "run the same command to go on, or add --wait to let it finish by itself"
_SEND_ON = "run the same command to go on"
_GONE = (
    "run the same command: what the registry no longer has may be another image's by now, if the tag has moved; "
    "if it has not, tell whoever runs the registry"
)
_CHECK = "headway check says what is damaged, and headway check --repair mends it"
_WHAT_STOPS: dict[type[BaseException | None], str] = {
    FileNotFoundError: "check the path: a part of it is not there",
    NotADirectoryError: "check the path: a part of it is a file",
    IsADirectoryError: "name a file: that is a directory",
    FileExistsError: "name another place: something else is there",
    PermissionError: "run it as somebody who may, or name another place",
}
_FORCEABLE = ("rmi", "unpack")
_FROM_ARCHIVES = ("load", "import")
_WHERE_TO_LOOK = {
    "platform": "name one of those with --platform",
    "image": "check the name; headway images lists what is here",
    "container": "check the name; docker ps -a lists containers, and headway df -v their IDs",
    "file": "check its name, and where it is",
    "mount": "check the name; headway mount lists what is mounted",
    "pull": "check the ID; headway pulls -a lists those that have ended, too",
    "blob": _CHECK,  # of the store; a registry's is told above
}
_ADVICE: dict[type[HeadwayError], str] = {
    ShortageError: "raise what limits it (ulimit -a, its cgroup) or wait until others need less, and run it again",
    StoreFullError: "make room there or name another place, then run it again (data root: headway prune, --data-root)",
    NoRecipeError: 'set "record-recipes": true, remove the image (headway rmi) and bring it again',
    WindowTooLargeError: 'set "max-unpack-memory" to as much in daemon.json, where there is so much memory',
    NoImagesError: "an image of a root file system's tar is made by headway import FILE NAME",
    InvalidArchiveError: "make the archive again, or copy it again and compare its checksum",
    NoSuchOwnerError: "give that namespace more IDs (/etc/subuid, /etc/subgid), or be another user in it than root",
    KeyDamagedError: "put a copy back, or remove it: the daemon makes another then, and has another ID",
    StoreCorruptError: _CHECK,
    StoreReadOnlyError: "make it writable, or name another place (data root: --data-root DIR)",
    StoreTooNewError: "use the Headway that made it, or a later one; or name another place (--data-root DIR)",
    NoDockerError: "start Docker (systemctl start docker), or say where it is with --host or DOCKER_HOST",
    NoDaemonError: "start it (systemctl start headway), or say where it is with -H or HEADWAY_HOST",
    OverBudgetError: "see what it costs with --dry-run, and run it again with a larger --max-bytes to go on",
    WebPageError: IN_BETWEEN,
    TooLargeError: "let whoever runs the registry, or the proxy before it, allow larger requests",
    RequestError: "headway COMMAND --help",
}
