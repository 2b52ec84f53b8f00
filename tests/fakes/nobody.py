"""Being a user who is not root, for a while: what such a user can do is what these tests are about."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UID = GID = 65534


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root's rights inside the block: file system and mount calls are judged by the effective user."""
    os.setegid(GID)
    os.seteuid(UID)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@contextmanager
def home_of_nobody() -> Iterator[Path]:
    """Give a directory that nobody owns and can reach; pytest's own are closed to all but root."""
    home = Path(tempfile.mkdtemp(prefix="nobody-"))
    os.chown(home, UID, GID)
    home.chmod(0o755)
    try:
        yield home
    finally:
        shutil.rmtree(home)
