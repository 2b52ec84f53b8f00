"""`headway mount` and `headway umount`: an image's files, or a container's, without copying them."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from headway.cli.failures import DONE, each_of
from headway.cli.remote import holding_daemon, named_daemon
from headway.cli.session import say, settings_of
from headway.cli.table import render
from headway.cli.terminal import one_line
from headway.composition.containers import mounts
from headway.composition.writing import imagining, writing
from headway.errors import UnsupportedError
from headway.service.containers.mounting import Mounted, Mounting, mounted
from headway.service.requests.requests import MountRequest, UnmountRequest
from headway.settings import Settings

_COLUMNS = {"Target": "TARGET", "Image": "IMAGE", "Container": "CONTAINER", "Driver": "DRIVER", "Count": "COUNT"}


def mount(options: Namespace) -> int:
    """Mount an image or a container and print where; without a name, list what is mounted."""
    if options.name is None:
        return _list(options)
    directory = Path(os.path.abspath(options.directory)) if options.directory else None  # noqa: PTH100  # links stay
    done = _mount(options, MountRequest(name=options.name, directory=directory, read_write=options.read_write))
    if options.read_write and done.container:
        say(f"container {done.container} keeps what is written in it until headway umount --rm {done.container}")
    print(one_line(str(done.target)))
    return DONE


def _mount(options: Namespace, request: MountRequest) -> Mounted:
    settings = settings_of(options)
    if (daemon := holding_daemon(options, settings)) is not None:
        return daemon.mount(request)
    _require_root(settings, request.name)
    with writing(settings, say) as stores:
        mounting = Mounting(mounts(settings, stores), stores)
        return mounting.mount(request.name, request.directory, read_write=request.read_write)


def umount(options: Namespace) -> int:
    """Unmount what `headway mount` has mounted; each that cannot be is explained, and the others are."""
    with _unmounting(options) as unmount:
        return each_of(options.names, lambda name: _tell(unmount(name), removed=options.rm), options)


@contextmanager
def _unmounting(options: Namespace) -> Iterator[Callable[[str], Mounted | None]]:
    """Give what unmounts by name or place."""
    settings = settings_of(options)
    remove: bool = options.rm
    if (daemon := holding_daemon(options, settings)) is not None:
        yield lambda name: daemon.unmount(UnmountRequest(name=name, place=_place(name), remove=remove))
        return
    with writing(settings, say, frees=True) as stores:
        mounting = Mounting(mounts(settings, stores), stores)
        yield lambda name: mounting.unmount(name, _place(name), remove=remove)


def _place(name: str) -> Path:
    return Path(os.path.realpath(name))


def _tell(left: Mounted | None, *, removed: bool) -> None:
    """Tell what is left of a mount that was given back."""
    if left is None:
        return
    if left.count:
        times = "once" if left.count == 1 else f"{left.count} times"
        say(f"{left.target} stays mounted: it was mounted {times} more")
    elif left.container and not removed:
        say(f"container {left.container} keeps what was written; headway mount {left.container} mounts it again")


def _require_root(settings: Settings, name: str) -> None:
    if os.geteuid() != 0 and settings.storage_driver != "vfs":
        raise UnsupportedError(f"mounting needs root; without it: headway unpack {name} DIR")


def _list(options: Namespace) -> int:
    rows = [
        {
            "Target": str(each.target),
            "Image": each.image,
            "Container": each.container,
            "Driver": each.driver,
            "Count": each.count,
        }
        for each in _mounted(options)
    ]
    print(render(rows, _COLUMNS, options.format), end="")
    return DONE


def _mounted(options: Namespace) -> list[Mounted]:
    if (daemon := named_daemon(options)) is not None:
        return daemon.mounts()
    with imagining(settings_of(options)) as stores:
        return mounted(stores)
