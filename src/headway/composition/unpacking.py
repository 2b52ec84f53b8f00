"""Unpacks layers that do not come from a pull, such as those of a commit or an import, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from headway.interfaces.files import TarSource
from headway.layers.unpacking.recording_applier import apply
from headway.oci.digest import DiffID
from headway.records import LayerReport


def apply_apart(source: TarSource, directory: Path, progress: Callable[[int], None]) -> tuple[DiffID, LayerReport]:
    """Unpack a layer and record its recipe in a thread of its own; an `interfaces.files.Applier` for any thread.

    An interrupted caller leaves the thread behind: the source that it reads may never end.
    """
    done: Future[tuple[DiffID, LayerReport]] = Future()

    def work() -> None:
        try:
            done.set_result(apply(source, directory, progress, records=True))
        except BaseException as error:  # it travels to whoever waits
            done.set_exception(error)

    threading.Thread(target=work, name="unpack", daemon=True).start()
    return done.result()
