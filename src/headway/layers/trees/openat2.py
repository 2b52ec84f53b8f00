"""openat2(2), which Python does not offer: a path resolved inside a directory in one call (ADR 0009)."""

from __future__ import annotations

import ctypes
import errno
import os

from headway.libc import failure, libc

_NUMBER = 437  # of the system call, the same on every architecture but alpha
_NO_SYMLINKS, _IN_ROOT = 0x04, 0x10  # RESOLVE_NO_SYMLINKS, RESOLVE_IN_ROOT
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_HOW = _OpenHow(_DIRECTORY, 0, _NO_SYMLINKS | _IN_ROOT)


def openat2(directory: int, path: bytes) -> int:
    """Return a descriptor (O_PATH) of the directory at `path`, resolved inside `directory` as if that were the root.

    Raises:
        OSError: As open(2); ELOOP where a symlink is on the way; ENOSYS or EPERM where the kernel or a seccomp filter
            has no openat2.
    """
    descriptor = int(libc.syscall(_NUMBER, directory, path, ctypes.byref(_HOW), ctypes.sizeof(_HOW)))
    if descriptor < 0:
        raise failure(path)
    return descriptor


def has_openat2() -> bool:
    """Tell whether this kernel, and whatever filters our system calls, let us use openat2."""
    root = os.open("/", _DIRECTORY)
    try:
        os.close(openat2(root, b"."))
    except OSError as error:
        return error.errno not in (errno.ENOSYS, errno.EPERM, errno.EACCES)
    finally:
        os.close(root)
    return True
