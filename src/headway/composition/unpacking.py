"""How layers are unpacked: with their recipes or without, in the thread that asks or in one of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from headway.interfaces.files import TarSource
from headway.layers.applier import apply_layer
from headway.layers.recipe_recorder import Recorder
from headway.layers.umask import unshare_umask
from headway.oci.digest import DiffID
from headway.records import LayerReport, recipe_beside


def apply_plainly(source: TarSource, directory: Path, progress: Callable[[int], None]) -> tuple[DiffID, LayerReport]:
    """Unpack a layer; this is an `interfaces.Applier` for a thread that does nothing else."""
    unshare_umask()
    return apply_layer(source, directory, progress)


def apply_and_record(source: TarSource, directory: Path, progress: Callable[[int], None]) -> tuple[DiffID, LayerReport]:
    """Unpack a layer and record its recipe; this is an `interfaces.Applier` for a thread that does nothing else."""
    unshare_umask()
    with Recorder(recipe_beside(directory), directory) as recorder:
        diff_id, report = apply_layer(source, directory, progress, observer=recorder)
        recorder.finish(diff_id)
    return diff_id, report


def apply_apart(source: TarSource, directory: Path, progress: Callable[[int], None]) -> tuple[DiffID, LayerReport]:
    """Do `apply_and_record` in a thread made for it, and wait; this is an `interfaces.Applier` for any thread.

    The thread is left behind where the wait is interrupted: what it reads from may never end.
    """
    done: Future[tuple[DiffID, LayerReport]] = Future()

    def work() -> None:
        try:
            done.set_result(apply_and_record(source, directory, progress))
        except BaseException as error:  # it travels to whoever waits
            done.set_exception(error)

    threading.Thread(target=work, name="unpack", daemon=True).start()
    return done.result()
