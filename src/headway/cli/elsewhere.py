"""Points a user with an empty store to another one that has images: the system's, or that of the user behind sudo."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from headway.cli.session import say
from headway.errors import HeadwayError
from headway.settings import Settings, default_data_root

SYSTEM_SOCKET = Path("/run/headway.sock")


class Place(NamedTuple):
    """Another store.

    Attributes:
        option: The option that selects it on the command line.
        value: Value of that option.
        images: Returns how many images it has.
    """

    option: str
    value: str
    images: Callable[[], int]


def say_where_images_are() -> None:
    """Say which other store has images; skip one that cannot be read."""
    for place in other_stores(os.environ, os.geteuid(), home_of=lambda user: Path(pwd.getpwnam(user).pw_dir)):
        with suppress(HeadwayError):
            if count := place.images():
                noun = "image is" if count == 1 else "images are"
                say(f"no images here; {count} {noun} in another store: {place.option} {place.value}")


def other_stores(
    environment: Mapping[str, str],
    uid: int,
    *,
    home_of: Callable[[str], Path],
    system_root: Path | None = None,
    system_socket: Path = SYSTEM_SOCKET,
) -> Iterator[Place]:
    """Yield the other stores that a user may have meant.

    Args:
        environment: Environment of the user.
        uid: ID of the user.
        home_of: Returns the home of a user; raises KeyError where there is no such user.
        system_root: Root's data root; None for the usual one.
        system_socket: Where root's daemon listens.
    """
    if uid != 0:
        if system_socket.exists():
            yield Place("-H", f"unix://{system_socket}", lambda: _asked(f"unix://{system_socket}"))
        root = system_root or default_data_root({}, Path("/"), root=True)
        if os.access(root, os.R_OK):
            yield Place("--data-root", str(root), lambda: _counted(root))
        return
    with suppress(KeyError):
        theirs = default_data_root({}, home_of(environment["SUDO_USER"]), root=False)
        if theirs.is_dir():
            yield Place("--data-root", str(theirs), lambda: _counted(theirs))


def _asked(host: str) -> int:
    from headway.cli.remote import daemon_at  # noqa: PLC0415  # only who finds nothing pays for it

    return len(daemon_at(host).images({}))


def _counted(root: Path) -> int:
    from headway.composition.reading import reading  # noqa: PLC0415  # as above

    with reading(Settings(data_root=root)) as records:
        return records.images.count()
