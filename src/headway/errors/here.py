"""This machine: its disk, what is on it, and its daemons."""

from __future__ import annotations

import errno

from headway.errors.side import HeadwayError, Side


class ShortageError(HeadwayError):
    """This machine gives this process no more memory, threads or open files.

    Attributes:
        what: What it wanted more of.
    """

    side = Side.HERE
    retryable = True
    brief = "shortage"

    def __init__(self, what: str) -> None:
        super().__init__(f"this machine gives Headway no more {what}")
        self.what = what


NO_MORE_FILES = frozenset((errno.EMFILE, errno.ENFILE))
"""Codes of an OSError that mean: this process, or this machine, has as many files and connections open as it may."""

UNREADABLE = frozenset((errno.EIO, errno.EBADMSG, errno.EUCLEAN))
"""Codes of an OSError that mean, while something is read: it is there, and the disk does not give it back."""

DAMAGED = UNREADABLE | {errno.ELOOP, errno.ENXIO}
"""The same of a file that is opened without following links: or what is there is a link, or a socket."""

FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
"""Codes of an OSError that mean: no space or no quota is left."""


class StoreError(HeadwayError):
    """Our disk, or what is on it."""

    side = Side.HERE


class StoreFullError(StoreError):
    """No space or no quota left.

    Attributes:
        path: What could not be written.
    """

    retryable = True

    def __init__(self, path: str, *, of: str = "space") -> None:
        super().__init__(f"no {of} left on the disk that holds {path}")
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


class KeyDamagedError(StoreCorruptError):
    """The file of the daemon's own key holds none: nothing that is fetched can mend it.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: object) -> None:
        super().__init__(f"{path} is damaged: it holds no EC key on P-256 with its ID")
        self.path = str(path)


class NoRecipeError(StoreError):
    """A layer was unpacked without what gives its exact tar back, and its blob was not kept.

    Attributes:
        image: The image that was wanted.
        diff_id: The layer.
    """

    brief = "no recipe"

    def __init__(self, image: str, diff_id: str) -> None:
        super().__init__(
            f"{image} cannot be written: the exact bytes of its layer {diff_id} cannot be rebuilt, "
            "because it came while record-recipes was off, or its recipe was lost"
        )
        self.image = image
        self.diff_id = diff_id


class StoreReadOnlyError(StoreError):
    """The data root cannot be written."""


class NoSuchOwnerError(StoreError):
    """A file of an image belongs to somebody whom the user namespace of this process does not have.

    Attributes:
        path: The file.
        uid: Its owner.
        gid: Its group.
    """

    brief = "no such owner"

    def __init__(self, path: str, uid: int, gid: int) -> None:
        super().__init__(f"{path!r} belongs to {uid}:{gid}, whom the user namespace of this process does not have")
        self.path = path
        self.uid = uid
        self.gid = gid


class StoreTooNewError(StoreError):
    """A later Headway has written the data root, in a form that this one does not know."""


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


class NoDaemonError(HeadwayError):
    """The daemon that was to be asked does not answer, or is none of Headway's.

    Attributes:
        address: Where it was to be.
        reason: What is wrong there.
        forbidden: Whether there may well be one, and this user may not write to its socket.
        tls: Whether somebody answers there, and the two do not come to speak TLS.
    """

    side = Side.HERE

    def __init__(self, address: str, reason: str, *, forbidden: bool = False, tls: bool = False) -> None:
        how = "not allowed to ask the" if forbidden else "cannot speak TLS with the" if tls else "no"
        super().__init__(f"{how} daemon at {address}: {reason}")
        self.address = address
        self.reason = reason
        self.forbidden = forbidden
        self.tls = tls


class NoDockerError(NoDaemonError):
    """Docker's own daemon does not answer."""
