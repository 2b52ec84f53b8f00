"""Unpack one layer: from a blob's bytes to a tree in overlay2's on-disk form.

Rule 1: nothing outside the directory is touched, whatever the tar says.
Rule 2: every byte of the stream is hashed, those behind the end marker too.
Rule 3: what is wrong with a layer is an `InvalidLayerError` that names the entry; the tree is then worth nothing.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from headway.errors import FULL, HeadwayError, StoreError, StoreFullError
from headway.interfaces.files import TarSource
from headway.layers.compression.expanding import expand
from headway.layers.compression.windows import Reserve, free
from headway.layers.tar.entry import refused
from headway.layers.tar.limits import DEFAULT_LIMITS, Limits
from headway.layers.tar.observer import Observer
from headway.layers.tar.reader import TarReader
from headway.layers.unpacking.ahead import tapped
from headway.layers.unpacking.handoff import HandoffMaker, alone
from headway.layers.unpacking.unpacker import Unpacker
from headway.oci.digest import DiffID, Digest
from headway.records import LayerReport

_CHECKED_EACH = 4096  # entries
_LAYERS_FAULT = frozenset(
    (
        errno.EEXIST,
        errno.EFBIG,
        errno.EILSEQ,
        errno.EINVAL,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOTDIR,
    )
)


def apply_layer(
    source: TarSource,
    directory: Path,
    progress: Callable[[int], None],
    *,
    limits: Limits = DEFAULT_LIMITS,
    rootless: bool | None = None,
    openat2: bool | None = None,
    isal: bool = True,
    observer: Observer | None = None,
    hand_off: HandoffMaker = alone,
    beside: bool = True,
    reserve: Reserve = free,
) -> tuple[DiffID, LayerReport]:
    """Unpack a layer into an empty directory; this is an `interfaces.files.Applier`.

    It is quickest in a thread that ran `umask.unshare_umask`, and right in any other.

    Args:
        source: The layer's blob, compressed in any way.
        directory: Exists, is empty, and nobody else writes to it.
        progress: Is told how many bytes of `source` have been read.
        limits: What makes a layer hostile.
        rootless: Whether the store belongs to a user who cannot give files away; None looks at who we are.
        openat2: Whether the kernel resolves paths; None tries it.
        isal: Whether isal expands gzip where it is installed.
        observer: Sees the tar go by, to make a recipe of it.
        hand_off: Where small files go.
        beside: Whether the layer is expanded and hashed in threads of their own.
        reserve: Told what a decoder will take to look back on.

    Returns:
        The digest of the tar, and what the tree alone does not say.

    Raises:
        InvalidLayerError: Broken or hostile; the directory's content is then worthless.
        StoreFullError: No space left.
        StoreError: The disk failed.
    """
    if rootless is None:
        rootless = os.geteuid() != 0
    tar_hash = hashlib.sha256()
    with tapped(expand(source, progress, isal=isal, reserve=reserve), tar_hash.update, beside=beside) as pieces:
        reader = TarReader(pieces, limits=limits, observer=observer)
        opened = partial(
            Unpacker, directory, rootless=rootless, openat2=openat2, limits=limits, observer=observer, hand_off=hand_off
        )
        with unpacking(opened, directory) as unpacker:
            while (entry := reader.next()) is not None:
                unpacker.add(entry, reader)
                if not reader.entries % _CHECKED_EACH:
                    unpacker.check_memory()
            report = unpacker.finish(reader.entries)
    return DiffID(Digest(f"sha256:{tar_hash.hexdigest()}")), report


@contextmanager
def unpacking(opened: Callable[[], Unpacker], directory: Path) -> Iterator[Unpacker]:
    """Give an unpacker, and say of which entry a system call failed.

    Raises:
        InvalidLayerError: By what was asked for, it is the layer's fault.
        StoreFullError: No space left.
        StoreError: The disk failed.
    """
    name = None
    try:
        with opened() as unpacker:
            try:
                yield unpacker
            finally:
                name = unpacker.name
    except InterruptedError:  # the source was stopped
        raise
    except OSError as error:
        raise _translated(error, name, directory) from error


def _translated(error: OSError, name: bytes | None, directory: Path) -> HeadwayError:
    """Return what a failed system call means: whose fault it is depends on which one it was."""
    if error.errno in FULL:
        return StoreFullError(str(directory), of="inodes" if _lacks_inodes(directory) else "space")
    if name is not None and error.errno in _LAYERS_FAULT:
        return refused(name, f"{error.strerror}")
    return StoreError(f"cannot unpack {os.fsdecode(name or b'')!r} into {directory}: {error.strerror}")


def _lacks_inodes(directory: Path) -> bool:
    """Tell whether it is files, not bytes, that the file system has no room for: df does not show that."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return False
    return found.f_files > 0 == found.f_favail
