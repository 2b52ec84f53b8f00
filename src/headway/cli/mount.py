"""`headway mount` and `headway umount`: an image's files, or a container's, without copying them."""

from __future__ import annotations

import os
import sys
from argparse import Namespace

from headway.cli.failures import DONE, exit_status, explain
from headway.cli.session import say, settings_of
from headway.cli.table import render
from headway.cli.terminal import one_line
from headway.composition.containers import mounts
from headway.composition.writing import imagining, writing
from headway.errors import HeadwayError, NotFoundError, UnsupportedError
from headway.service.containers import Containers
from headway.service.stores import Stores
from headway.settings import Settings

_COLUMNS = {"Target": "TARGET", "Image": "IMAGE", "Container": "CONTAINER", "Driver": "DRIVER", "Count": "COUNT"}


def mount(options: Namespace) -> int:
    """Mount an image or a container and print where; without a name, list what is mounted."""
    settings = settings_of(options)
    if options.name is None:
        return _list(settings, options.format)
    _require_root(settings, options.name)
    with writing(settings, say) as stores:
        mounted = mounts(settings, stores).mount(options.name, options.directory, read_write=options.read_write)
        if options.read_write and mounted.rw_layer is not None:
            name = stores.containers.get(mounted.rw_layer).name
            say(f"container {name} takes what is written; headway umount --rm {name} removes it")
    print(one_line(str(mounted.target)))
    return DONE


def umount(options: Namespace) -> int:
    """Unmount what `headway mount` has mounted; each that cannot be is explained, and the others are."""
    settings = settings_of(options)
    status = DONE
    with writing(settings, say) as stores:
        for name in options.names:
            try:
                _unmount(settings, stores, name, remove=options.rm)
            except HeadwayError as error:
                print(explain(error), file=sys.stderr)
                status = status or exit_status(error)
    return status


def _unmount(settings: Settings, stores: Stores, name: str, *, remove: bool) -> None:
    try:
        left = mounts(settings, stores).unmount(name)
    except NotFoundError:
        if not remove:
            raise
        Containers(stores).remove(name)
        return
    if left.count:
        times = "once" if left.count == 1 else f"{left.count} times"
        say(f"{left.target} stays mounted: it was asked for {times} more")
    elif left.rw_layer is not None:
        container = stores.containers.get(left.rw_layer)
        if remove:
            Containers(stores).remove(container.container_id)
        else:
            say(f"container {container.name} keeps what was written; headway mount {container.name} shows it again")


def _require_root(settings: Settings, name: str) -> None:
    if os.geteuid() != 0 and settings.storage_driver != "vfs":
        raise UnsupportedError(f"mounting needs root; without it: headway unpack {name} DIR")


def _list(settings: Settings, form: str) -> int:
    with imagining(settings) as stores:
        containers = {container.container_id: container.name for container in stores.containers.list()}
        rows = [
            {
                "Target": str(mounted.target),
                "Image": mounted.image_id.short if mounted.image_id else "",
                "Container": containers.get(mounted.rw_layer or "", ""),
                "Driver": mounted.driver,
                "Count": str(mounted.count),
            }
            for mounted in stores.mounts.list()
        ]
    print(render(rows, _COLUMNS, form), end="")
    return DONE
