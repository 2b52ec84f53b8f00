"""What to do next after a failure: the last line that a failed command prints.

Rule 1: what is advised can be done: a flag is named only where the command has it.
Rule 2: the cause decides. First come advices that depend on its details or on the command, then one for its kind, and
        then, where nothing better is known, whether trying again helps.
"""

from __future__ import annotations

import errno

from headway.cli.units import duration
from headway.distribution.endpoints import DOCKER_HUB_HOST
from headway.distribution.remedies import IN_BETWEEN, refusal_remedy, remedy
from headway.errors import (
    NO_MORE_FILES,
    ConflictError,
    DigestMismatchError,
    Fault,
    FetchRefusedError,
    HeadwayError,
    IntegrityError,
    InvalidArchiveError,
    InvalidDocumentError,
    InvalidSettingError,
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


def advice(error: HeadwayError, command: str) -> str:
    """Return what to do about a failure.

    Args:
        error: What happened.
        command: The name of the command that failed.
    """
    cause = root_cause(error)
    return _particular(cause, command) or _by_kind(cause, command) or _of_transfer(error, cause, command)


def _particular(cause: HeadwayError, command: str) -> str:
    """Return the advice that depends on more than the kind of error; nothing where there is none."""
    match cause:
        case IntegrityError() if command in _FROM_ARCHIVES and type(cause) not in _BY_KIND:
            return _BY_KIND[InvalidArchiveError]
        case InvalidDocumentError() if command == "bundle":
            return "tell whoever publishes the image; headway unpack writes its files all the same"
        case RequestError():
            return _of_request(cause, command)
        case RegistryError():
            return _of_registry(cause, command)
        case _:
            return _of_here(cause)


def _by_kind(cause: HeadwayError, command: str) -> str:
    text = next((text for kind, text in _BY_KIND.items() if isinstance(cause, kind)), "")
    return text.replace("COMMAND", command)


def _of_transfer(error: HeadwayError, cause: HeadwayError, command: str) -> str:
    """Return whether the same command goes on, or who has to know."""
    is_pull = isinstance(error, PullIncompleteError)
    is_push = isinstance(error, PushIncompleteError)
    if (is_pull or is_push) and isinstance(cause, StoreError):
        return "check that disk (dmesg may say more), and run the same command to go on"
    if cause.retryable:
        return _go_on(command) if is_pull or is_push else "run the same command again"
    is_registrys = isinstance(cause, RegistryError) or (isinstance(cause, DigestMismatchError) and cause.endpoint)
    if is_push or is_registrys:
        return "trying again will not help: tell whoever runs the registry"
    return _TELL_THE_PUBLISHER if is_pull else "run it again with -D for details"


def _of_request(cause: RequestError, command: str) -> str:
    match cause:
        case ConflictError():
            return _way_out(cause, command)
        case InvalidSettingError(file=file) if file:
            return f"correct {file}, and run the same command again"
        case NotFoundError(what="image") if command == "adopt":
            return "check the name; docker images lists what Docker has"
        case NotFoundError(what="platform", detail="") if command == "pull":
            return "tell whoever publishes it that this index lists no image, for whatever platform"
        case NotFoundError(side=Side.REGISTRY):
            return (
                "run the same command again: the tag may have moved to another image meanwhile; "
                "if that does not help, tell whoever runs the registry"
            )
        case NotFoundError(what=what):
            return _WHERE_TO_LOOK.get(what, "check the name and the tag: the registry has no such image")
        case UnsupportedError() if command == "pull":
            return _TELL_THE_PUBLISHER
        case _:
            return ""


def _of_here(cause: HeadwayError) -> str:
    match cause:
        case NoDaemonError(forbidden=True):
            return "run it as root, or as a member of the group that the daemon's socket belongs to"
        case NoDaemonError(tls=True):
            return (
                "check ca.pem, cert.pem and key.pem in HEADWAY_CERT_PATH or DOCKER_CERT_PATH, "
                "and the daemon's own certificate"
            )
        case StoreBusyError(pid=pid):
            return f"wait for process {pid} to end, and run the same command"
        case StoreError(__cause__=OSError(errno=number)) if number in NO_MORE_FILES:
            return _BY_KIND[ShortageError]
        case StoreError(__cause__=OSError(errno=errno.EFBIG)):
            return "name another place: no file can be larger there (4 GiB on FAT), or for this user (ulimit -f)"
        case StoreError() if type(cause) is StoreError:
            return _WHAT_STOPS.get(type(cause.__cause__), "")
        case _:
            return ""


def _of_registry(cause: RegistryError, command: str) -> str:
    match cause:
        case UnreachableError(fault=Fault.UNKNOWN_NAME, endpoint=host) if host == DOCKER_HUB_HOST and command == "push":
            return (
                "this network does not know Docker Hub: set its proxy (https_proxy), "
                "or push to another registry, by a name that headway tag adds"
            )
        case UnreachableError():
            return remedy(cause, by_flag=command != "import")
        case FetchRefusedError(retryable=False):
            return "check the URL; if it is right, ask whoever runs that server"
        case RefusedError():
            is_shown = command == "login" and not isinstance(cause, ProxyRefusedError)
            return "check user and password, and log in again" if is_shown else refusal_remedy(cause)
        case ThrottledError() | UnavailableError():
            return _when_to_ask(cause, command)
        case _:
            return ""


def _way_out(conflict: ConflictError, command: str) -> str:
    if "cannot be forced" in str(conflict):  # docker's words, which are in the message
        return "first remove what needs it"
    forced = ", or add --force" if command in _FORCEABLE else ""
    return f"remove what is in the way, or use another name{forced}"


def _when_to_ask(cause: ThrottledError | UnavailableError, command: str) -> str:
    seconds = cause.wait_seconds or cause.retry_after_seconds
    quota = f" (quota: {cause.quota})" if isinstance(cause, ThrottledError) and cause.quota else ""
    if seconds:
        return f"run the same command in {duration(seconds)} to go on{quota}"
    return _go_on(command) + quota if quota else ""


def _go_on(command: str) -> str:
    by_itself = ", or add --wait to let it finish by itself" if command == "pull" else ""
    return f"run the same command to go on{by_itself}"


_TELL_THE_PUBLISHER = "trying again will not help: tell whoever publishes the image"
_CHECK = "headway check says what is damaged, and headway check --repair mends it"
_WHAT_STOPS: dict[type[BaseException | None], str] = {
    FileNotFoundError: "check the path: a part of it does not exist",
    NotADirectoryError: "check the path: a part of it is a file",
    IsADirectoryError: "name a file: that is a directory",
    FileExistsError: "name another place: something else is there",
    PermissionError: "run it as a user who may do that, or name another place",
}
_FORCEABLE = ("rmi", "unpack")
_FROM_ARCHIVES = ("load", "import")
_WHERE_TO_LOOK = {
    "platform": "name one of those with --platform",
    "image": "check the name; headway images lists the images here",
    "container": "check the name; docker ps -a lists containers, and headway df -v their IDs",
    "file": "check the name and the place of that file",
    "mount": "check the name; headway mount lists what is mounted",
    "pull": "check the ID; headway pulls -a lists all pulls, also those that have ended",
    "blob": _CHECK,  # of the store; a registry's is told above
}
_BY_KIND: dict[type[HeadwayError], str] = {
    ShortageError: "raise the limit (ulimit -a, its cgroup) or wait until others need less, and run it again",
    StoreFullError: "make room there or name another place, then run it again (data root: headway prune, --data-root)",
    NoRecipeError: 'set "record-recipes": true, remove the image (headway rmi) and pull or load it again',
    WindowTooLargeError: 'set "max-unpack-memory" to that much in daemon.json, if the machine has so much memory',
    NoImagesError: "if it is the tar of a root file system: headway import FILE NAME",
    InvalidArchiveError: "make the archive again, or copy it again and compare its checksum",
    NoSuchOwnerError: "give that namespace more IDs (/etc/subuid, /etc/subgid), or be another user in it than root",
    KeyDamagedError: "put a copy back, or remove it: the daemon then makes a new one, and has another ID",
    StoreCorruptError: _CHECK,
    StoreReadOnlyError: "make it writable, or name another place (data root: --data-root DIR)",
    StoreTooNewError: "use the Headway that made it, or a later one; or name another place (--data-root DIR)",
    NoDockerError: "start Docker (systemctl start docker), or say where it is with --host or DOCKER_HOST",
    NoDaemonError: "start it (headway daemon, or systemctl start headway), or say where it is with -H or HEADWAY_HOST",
    OverBudgetError: "see what it costs with --dry-run, and run it again with a larger --max-bytes to go on",
    WebPageError: IN_BETWEEN,
    TooLargeError: "ask whoever runs the registry, or the proxy before it, to allow larger requests",
    RequestError: "headway COMMAND --help",
}
