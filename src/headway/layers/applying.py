"""Unpacks a layer, with its recipe or without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from headway.interfaces.files import TarSource
from headway.layers.applier import apply_layer
from headway.layers.recipe_recorder import Recorder
from headway.layers.umask import unshare_umask
from headway.oci.digest import DiffID
from headway.records import LayerReport, recipe_beside


def apply(
    source: TarSource, directory: Path, progress: Callable[[int], None], *, records: bool
) -> tuple[DiffID, LayerReport]:
    """Unpack a layer in a thread that does nothing else; with `records` bound, this is an `interfaces.Applier`.

    Args:
        source: See `Applier`.
        directory: See `Applier`.
        progress: See `Applier`.
        records: Whether the layer's recipe is written.

    Raises:
        HeadwayError: As `Applier`.
    """
    unshare_umask()
    if not records:
        return apply_layer(source, directory, progress)
    with Recorder(recipe_beside(directory), directory) as recorder:
        diff_id, report = apply_layer(source, directory, progress, observer=recorder)
        recorder.finish(diff_id)
    return diff_id, report
