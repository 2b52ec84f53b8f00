"""Every exception, grouped by whose fault it is.

Rule 1: adapters translate what their libraries raise into these, in one place each; nothing else leaves them.
Rule 2: facts are attributes, and the message is built from them, so that a caller never parses text.
Rule 3: a side is named only where it is proved (`Side`); silence is better than a guess.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Side(StrEnum):
    """Whose side a failure is on, as far as it is proved."""

    HERE = "on this machine"
    WAY = "on the way there"
    REGISTRY = "at the registry"
    YOU = "in the request"


class HeadwayError(Exception):
    """Base of everything Headway raises on purpose.

    Attributes:
        side: Whose side it is on, or None where that is not proved.
        retryable: Whether the same request may succeed later without anybody changing anything.
        brief: What went wrong in two or three words, for counts.
    """

    side: Side | None = None
    retryable: bool = False
    brief: str = "failed"


# --- the caller asked for something impossible -------------------------------------------------------------


class RequestError(HeadwayError):
    """The caller asked for something impossible."""

    side = Side.YOU


class InvalidReferenceError(RequestError):
    """A name that Docker's reference grammar refuses (moby-behaviour 5.3)."""


class InvalidNameError(RequestError):
    """A name that containers do not have (moby-behaviour 6.18)."""


class InvalidPlatformError(RequestError):
    """A platform that is not ``os/arch[/variant]``."""


class InvalidDigestError(RequestError):
    """A digest with an unknown algorithm or the wrong length."""


class InvalidPathError(RequestError):
    """A path inside a root file system that cannot be one."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"invalid path {path[:255]!r}: {reason}")


class NotADirectoryPathError(RequestError):
    """A path inside a root file system that would have to be a directory; in Moby's words (moby-behaviour 6.20)."""

    def __init__(self) -> None:
        super().__init__("extraction point is not a directory")


class ConflictingKindError(RequestError):
    """A directory would replace something that is none, or the reverse, where that was not wanted."""


class InvalidSettingError(RequestError):
    """A flag, an environment variable or a key of daemon.json that cannot be used."""


class InvalidFilterError(RequestError):
    """A filter that is unknown, or has a value that it cannot have; in Docker 28's words (moby-behaviour 6.1).

    Attributes:
        key: Its name.
        values: What was given for it; empty where its name is the mistake.
    """

    def __init__(self, key: str, values: Iterable[str] = ()) -> None:
        self.key = key
        self.values = tuple(values)
        super().__init__(f"invalid filter '{key}" + (f"=[{' '.join(self.values)}]'" if self.values else "'"))


class InvalidTimeError(RequestError):
    """A time that is no Unix time, no RFC 3339 and no duration, or two of them in the wrong order."""


class InvalidChangeError(RequestError):
    """A ``--change`` that is no instruction, or none that changes a config; in Docker's words (moby-behaviour 6.7)."""


class NotFoundError(RequestError):
    """What was asked for does not exist.

    Attributes:
        what: ``image``, ``manifest``, ``blob``, ``repository``, ``platform``.
        name: The name it was asked by.
    """

    brief = "not found"

    def __init__(self, what: str, name: str, detail: str = "") -> None:
        super().__init__(f"no such {what}: {name}" + (f": {detail}" if detail else ""))
        self.what = what
        self.name = name
        self.detail = detail


class PlatformMismatchError(NotFoundError):
    """An image that is here, for another platform than the one that is wanted (moby-behaviour 1.5, step 5).

    Attributes:
        image_id: The image all the same: some callers take it.
        wanted: The platform asked for.
        actual: The image's own.
    """

    def __init__(self, name: str, image_id: str, wanted: object, actual: object) -> None:
        super().__init__("image", name)
        self.args = (
            f"image with reference {name} was found but does not match the specified platform:"
            f" wanted {wanted}, actual: {actual}",
        )
        self.image_id = image_id
        self.wanted = str(wanted)
        self.actual = str(actual)


class MountNotFoundError(NotFoundError):
    """A read-write layer that does not exist, in Moby's words (moby-behaviour 4.1)."""

    def __init__(self, name: str) -> None:
        super().__init__("mount", name)
        self.args = (f"mount does not exist: {name}",)


class NotMountedError(NotFoundError):
    """A place where nothing is mounted, or a name of nothing that is."""

    def __init__(self, word: str) -> None:
        super().__init__("mount", word)
        self.args = (f"nothing is mounted at {word}" if "/" in word else f"{word} is not mounted",)


class AmbiguousNameError(RequestError):
    """The beginning of several containers' IDs; in Docker 28's words (moby-behaviour 6.19).

    Attributes:
        prefix: What was given.
    """

    def __init__(self, prefix: str) -> None:
        super().__init__(f"multiple IDs found with provided prefix: {prefix}")
        self.prefix = prefix


class ConflictError(RequestError):
    """Something exists already, is in use, or is being written by somebody else."""


class UnsupportedError(RequestError):
    """Headway understands what is wanted and does not do it."""


class NoDaemonError(HeadwayError):
    """The daemon that was to be asked does not answer, or is none of Headway's.

    Attributes:
        address: Where it was to be.
        reason: What is wrong there.
    """

    side = Side.HERE

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"no daemon at {address}: {reason}")
        self.address = address
        self.reason = reason


class NoDockerError(NoDaemonError):
    """Docker's own daemon does not answer."""


# --- the other side -----------------------------------------------------------------------------------------


class Fault(StrEnum):
    """How a registry could not be reached, or a connection to it was lost."""

    UNKNOWN_NAME = "its name does not exist"
    NO_DNS = "no name server answers"
    REFUSED = "connection refused"
    NO_ROUTE = "no route"
    TIMEOUT = "no answer in time"
    TLS = "TLS failed"
    CERTIFICATE = "its certificate is not trusted"
    CLOCK = "this machine's clock is wrong"
    CUT = "connection lost"
    STALLED = "connection went silent"
    PROXY = "the proxy cannot reach it"


class RegistryError(HeadwayError):
    """The other side; always says which endpoint.

    Attributes:
        endpoint: Host and port that were asked, or an empty string where it is not known.
    """

    def __init__(self, endpoint: str, message: str) -> None:
        super().__init__(f"{endpoint}: {message}" if endpoint else message)
        self.endpoint = endpoint
        self.reason = message


_SIDES = {
    Fault.NO_ROUTE: Side.HERE,
    Fault.CLOCK: Side.HERE,
    Fault.UNKNOWN_NAME: Side.YOU,
    Fault.CUT: Side.WAY,
    Fault.STALLED: Side.WAY,
    Fault.TIMEOUT: Side.WAY,
}


class UnreachableError(RegistryError):
    """No connection, or one that was lost: DNS, TCP, TLS, silence.

    Attributes:
        fault: What happened.
    """

    retryable = True

    def __init__(self, endpoint: str, fault: Fault, detail: str = "") -> None:
        super().__init__(endpoint, f"{fault}" + (f" ({detail})" if detail else ""))
        self.fault = fault
        self.brief = fault.value
        self.side = _SIDES.get(fault)
        self.retryable = fault is not Fault.CERTIFICATE


class RefusedError(RegistryError):
    """401 or 403, after authentication was tried.

    Attributes:
        status: The HTTP status.
        code: The distribution-spec error code, such as ``DENIED``, or an empty string.
        said: What it gave as the reason, or an empty string.
    """

    side = Side.YOU
    brief = "access refused"

    def __init__(self, endpoint: str, status: int, code: str = "", message: str = "") -> None:
        super().__init__(endpoint, message or f"access refused (HTTP {status})")
        self.status = status
        self.code = code
        self.said = message


class ProxyRefusedError(RefusedError):
    """The proxy on the way, not the registry, refuses."""

    side = Side.WAY
    brief = "refused by the proxy"

    def __init__(self, proxy: str, status: int, *, had_login: bool = False) -> None:
        said = "does not let this request through"
        if status in (401, 407):  # some say 401 to a wrong login
            said = "does not accept its login" if had_login else "wants a login"
        super().__init__(f"the proxy {proxy}", status, "", f"{said} (HTTP {status})")


class ThrottledError(RegistryError):
    """429: too many requests.

    Attributes:
        retry_after_seconds: How long the registry asked us to wait, or None where it did not say.
        wait_seconds: How long nobody in this process may ask it; None where that is not known.
        quota: What it lets us ask in how long, in words; empty where it does not say.
    """

    side = Side.REGISTRY
    retryable = True
    brief = "too many requests"

    def __init__(self, endpoint: str, retry_after_seconds: float | None, message: str = "") -> None:
        wait = "" if retry_after_seconds is None else f"; it asks to wait {retry_after_seconds:.0f} s"
        super().__init__(endpoint, (message or "too many requests") + wait)
        self.retry_after_seconds = retry_after_seconds
        self.wait_seconds: float | None = None
        self.quota = ""


class HeldBackError(ThrottledError):
    """The registry was not asked: the time that it named to somebody else has not passed."""

    brief = "held back"

    def __init__(self, endpoint: str, wait_seconds: float) -> None:
        super().__init__(endpoint, None, f"it asked to be left alone for {wait_seconds:.0f} s more")
        self.wait_seconds = wait_seconds


class FetchRefusedError(RegistryError):
    """A web server that answers a URL with something else than its file; in Docker's words (moby-behaviour 6.7).

    Attributes:
        status: The HTTP status.
    """

    brief = "not given"

    def __init__(self, endpoint: str, url: str, status: int, reason: str, said: str) -> None:
        super().__init__(endpoint, f"failed to GET {url} with status {status} {reason}: {said}".rstrip(": \n"))
        self.args = (self.reason,)
        self.status = status
        self.retryable = status in (408, 429) or status >= 500
        self.side = Side.REGISTRY if status >= 500 else Side.YOU


class UnavailableError(RegistryError):
    """5xx: the registry, or something in front of it, is broken for now.

    Attributes:
        status: The HTTP status.
        retry_after_seconds: From its ``Retry-After`` header, or None.
        wait_seconds: As for `ThrottledError`.
    """

    side = Side.REGISTRY
    retryable = True
    brief = "registry out of order"

    def __init__(self, endpoint: str, status: int, retry_after_seconds: float | None = None) -> None:
        super().__init__(endpoint, f"answers HTTP {status}")
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.wait_seconds: float | None = None


class MisbehavedError(RegistryError):
    """The answer violates the distribution specification, or is not from a registry at all (captive portals)."""

    side = Side.REGISTRY
    retryable = True
    brief = "wrong answer"


class ForgetfulRegistryError(MisbehavedError):
    """The registry takes what is uploaded and forgets it, again and again; it would for ever."""

    retryable = False

    def __init__(self, endpoint: str, how: str) -> None:
        super().__init__(endpoint, f"{how}, three times in a row, though no connection broke; its storage seems broken")


class RejectedError(RegistryError):
    """4xx: the registry understands what it is sent, and does not take it; sending it again would not help.

    Attributes:
        status: The HTTP status.
    """

    side = Side.REGISTRY
    brief = "not taken"

    def __init__(self, endpoint: str, status: int, reason: str) -> None:
        super().__init__(endpoint, reason)
        self.status = status


class TooLargeError(RegistryError):
    """413: the registry, or a proxy before it, does not take so much in one request."""

    side = Side.REGISTRY
    brief = "too large"

    def __init__(self, endpoint: str, size: int) -> None:
        super().__init__(endpoint, f"does not take {size:,} bytes in one request (HTTP 413)")
        self.size = size


# --- bytes ---------------------------------------------------------------------------------------------------


class IntegrityError(HeadwayError):
    """Bytes are not what the descriptor promised.

    Attributes:
        endpoint: Where they came from, or an empty string where that is not known.
    """

    brief = "wrong content"

    def __init__(self, message: str, endpoint: str = "") -> None:
        super().__init__(message + (f" (from {endpoint})" if endpoint else ""))
        self.endpoint = endpoint


class DigestMismatchError(IntegrityError):
    """Content has another digest than its name says."""

    def __init__(self, what: str, expected: object, actual: object, endpoint: str = "") -> None:
        super().__init__(f"{what} has digest {actual} instead of {expected}", endpoint)
        self.expected = expected
        self.actual = actual


class SizeMismatchError(IntegrityError):
    """Content has another length than its descriptor says."""

    def __init__(self, what: str, expected: int, actual: int, endpoint: str = "") -> None:
        super().__init__(f"{what} is {actual} bytes long instead of {expected}", endpoint)
        self.expected = expected
        self.actual = actual


class ChangedMeanwhileError(IntegrityError):
    """A web server has another version of a file by now than the one whose bytes are here."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(
            "the file has changed since its first byte was fetched; the next attempt starts anew", endpoint
        )


class InvalidDocumentError(IntegrityError):
    """A manifest, index or config that is not what its media type says, or is too large."""


class InvalidLayerError(IntegrityError):
    """A layer that cannot be unpacked: broken compression, broken tar, or hostile content."""


class InvalidArchiveError(IntegrityError):
    """An archive of images that cannot be loaded: broken, cut short, hostile, or no such archive."""

    brief = "bad archive"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the archive cannot be loaded: {reason}")


# --- our disk ------------------------------------------------------------------------------------------------


class StoreError(HeadwayError):
    """Our disk, or what is on it."""

    side = Side.HERE


class StoreFullError(StoreError):
    """No space or no quota left."""

    retryable = True

    def __init__(self, path: str) -> None:
        super().__init__(f"no space left on the disk that holds {path}")
        self.path = path


class NoRoomError(StoreFullError):
    """What is wanted cannot fit on the disk; nothing of it was fetched.

    Attributes:
        needed: Bytes that have to be free at least.
        free: Bytes that are.
    """

    def __init__(
        self, path: str, *, needed: int, free: int, to_fetch: int, inodes: tuple[int, int] | None = None
    ) -> None:
        super().__init__(path)
        self.needed = needed
        self.free = free
        text = f"at least {needed:,} bytes have to be free ({to_fetch:,} to fetch), {free:,} are"
        if needed <= free and inodes is not None:
            text = f"at least {inodes[0]:,} inodes have to be free, {inodes[1]:,} are"
        self.args = (f"no room on the disk that holds {path}: {text}",)


class StoreCorruptError(StoreError):
    """What lies on disk is not what was stored."""


class NoRecipeError(StoreError):
    """A layer was unpacked without what gives its exact tar back, and its blob was not kept.

    Attributes:
        image: The image that was wanted.
        diff_id: The layer.
    """

    brief = "no recipe"

    def __init__(self, image: str, diff_id: str) -> None:
        super().__init__(
            f"{image} cannot be written: nothing gives the exact bytes of its layer {diff_id} back, "
            "since it came while record-recipes was off"
        )
        self.image = image
        self.diff_id = diff_id


class StoreReadOnlyError(StoreError):
    """The data root cannot be written."""


class StoreBusyError(StoreError):
    """Another process holds the data root.

    Attributes:
        pid: Process ID of the holder, or 0 where it is not known.
    """

    retryable = True

    def __init__(self, path: str, pid: int) -> None:
        super().__init__(f"{path} is being written by process {pid or 'unknown'}")
        self.path = path
        self.pid = pid


# --- a whole pull --------------------------------------------------------------------------------------------


class PullIncompleteError(HeadwayError):
    """A pull that stopped before its image was complete; what arrived is kept.

    Attributes:
        reference: The image, in its familiar form.
        cause: Why it stopped.
        kept_bytes: Layer bytes that are here and will not be fetched again.
        total_bytes: Bytes of all layers, 0 where the manifest is not known yet.
        whole_layers: Layers that are complete.
        layers: Layers in all.
    """

    def __init__(
        self,
        reference: str,
        cause: HeadwayError,
        *,
        kept_bytes: int = 0,
        total_bytes: int = 0,
        whole_layers: int = 0,
        layers: int = 0,
    ) -> None:
        super().__init__(f"{reference} not complete: {cause}")
        self.reference = reference
        self.cause = cause
        self.side = cause.side
        self.retryable = cause.retryable
        self.kept_bytes = kept_bytes
        self.total_bytes = total_bytes
        self.whole_layers = whole_layers
        self.layers = layers


class OverBudgetError(RequestError):
    """More would have to cross the network than may; what has arrived is kept.

    Attributes:
        limit: Bytes that may cross.
        spent: Bytes that have crossed.
        crossing: Bytes that would have to cross besides; 0 where the budget ended under way.
    """

    brief = "over budget"

    def __init__(self, limit: int, spent: int, crossing: int) -> None:
        what = f"{crossing:,} more bytes would have to cross" if crossing else f"{spent:,} bytes have crossed"
        super().__init__(f"over budget: {what}, and the budget is {limit:,}")
        self.limit = limit
        self.spent = spent
        self.crossing = crossing


class PushIncompleteError(HeadwayError):
    """A push that stopped before its name stood for the image at the registry; what the registry has is not sent again.

    Attributes:
        reference: The image, in its familiar form.
        cause: Why it stopped.
        whole_layers: Layers that the registry has.
        layers: Layers in all.
    """

    def __init__(self, reference: str, cause: HeadwayError, *, whole_layers: int = 0, layers: int = 0) -> None:
        super().__init__(f"{reference} not pushed: {cause}")
        self.reference = reference
        self.cause = cause
        self.side = cause.side
        self.retryable = cause.retryable
        self.whole_layers = whole_layers
        self.layers = layers


class GaveUpError(HeadwayError):
    """A transfer was given up after repeated failures.

    Attributes:
        attempts: Consecutive attempts that brought no new byte.
        cause: The last failure.
    """

    retryable = True

    def __init__(self, attempts: int, cause: HeadwayError) -> None:
        tries = f"{attempts} attempt{'s' if attempts != 1 else ''}"
        super().__init__(f"{cause}; stopped after {tries} without a new byte")
        self.attempts = attempts
        self.cause = cause
        self.side = cause.side


class PullStoppedError(HeadwayError):
    """A pull that is not under way any more; what arrived is kept.

    Attributes:
        pull_id: Which.
        state: What has become of it.
    """

    def __init__(self, pull_id: str, state: str, reason: str = "") -> None:
        super().__init__(f"pull {pull_id} is {state}" + (f": {reason}" if reason else ""))
        self.pull_id = pull_id
        self.state = str(state)
        self.retryable = state != "cancelled"


class OutOfOrderError(RuntimeError):
    """A state machine was misused: our bug, never caught."""
