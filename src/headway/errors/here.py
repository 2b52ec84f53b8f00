"""Errors of this machine: its disk, the data on it, its resources and its daemons."""

from __future__ import annotations

import errno

from headway.errors.side import HeadwayError, Side


class ShortageError(HeadwayError):
    """This machine gives this process no more memory, threads or open files.

    Attributes:
        what: Name of the resource.
    """

    side = Side.HERE
    retryable = True
    brief = "shortage"

    def __init__(self, what: str) -> None:
        super().__init__(f"this machine gives Headway no more {what}")
        self.what = what


NO_MORE_FILES = frozenset((errno.EMFILE, errno.ENFILE))
"""Values of errno: this process, or this machine, has as many files and connections open as it may."""

UNREADABLE = frozenset((errno.EIO, errno.EBADMSG, errno.EUCLEAN))
"""Values of errno from a read: the file exists, but the disk does not give its content back."""

DAMAGED = UNREADABLE | {errno.ELOOP, errno.ENXIO}
"""The same for opening a file without following links; here also: a link or a socket lies in its place."""

FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
"""Values of errno: no space or no quota is left."""


class StoreError(HeadwayError):
    """Something is wrong with our disk, or with the data on it."""

    side = Side.HERE


class StoreFullError(StoreError):
    """No space or no quota left.

    Attributes:
        path: The file that could not be written.
    """

    retryable = True

    def __init__(self, path: str, *, of: str = "space") -> None:
        super().__init__(f"no {of} left on the disk that holds {path}")
        self.path = path


class NoRoomError(StoreFullError):
    """An image cannot fit on the disk; no layer of it was fetched.

    Attributes:
        needed: Least number of bytes that have to be free.
        free: Bytes that are free.
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
    """The data on disk is not what was stored."""


class KeyDamagedError(StoreCorruptError):
    """The file of the daemon's own key holds no key. No pull can repair that.

    Attributes:
        path: The file.
    """

    def __init__(self, path: object) -> None:
        super().__init__(f"{path} is damaged: it holds no EC key on P-256 with its ID")
        self.path = str(path)


class NoRecipeError(StoreError):
    """The exact tar of a layer cannot be made: it was unpacked without a recipe, and its blob was not kept.

    Attributes:
        image: The image that was to be written.
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
    """A file of an image belongs to a user or group that the user namespace of this process does not map.

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
    """A later version of Headway has written the data root, in a format that this one does not know."""


class StoreBusyError(StoreError):
    """Another process has the data root open for writing.

    Attributes:
        path: The data root, or its database.
        pid: Process ID of the holder; 0 where it is not known.
    """

    retryable = True

    def __init__(self, path: str, pid: int) -> None:
        super().__init__(f"{path} is being written by process {pid or 'unknown'}")
        self.path = path
        self.pid = pid


class NoDaemonError(HeadwayError):
    """No daemon of Headway's answers at an address.

    Attributes:
        address: The address.
        reason: What is wrong there.
        forbidden: Whether there may be a daemon, but this user may not write to its socket.
        tls: Whether there is a server, but TLS with it failed.
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
