"""Unpacks a layer, and records its recipe if that is wanted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from headway.errors import StoreCorruptError
from headway.interfaces.files import TarSource
from headway.layers.compression.windows import Reserve, free
from headway.layers.recipes.recorder import Recorder
from headway.layers.unpacking.applier import apply_layer
from headway.layers.unpacking.handoff import HandoffMaker, alone
from headway.layers.unpacking.umask import unshare_umask
from headway.oci.digest import DiffID
from headway.records import LayerReport, recipe_beside

log = logging.getLogger(__name__)


def apply(
    source: TarSource,
    directory: Path,
    progress: Callable[[int], None],
    *,
    records: bool,
    hand_off: HandoffMaker = alone,
    beside: bool = True,
    reserve: Reserve = free,
) -> tuple[DiffID, LayerReport]:
    """Unpack a layer in a thread that does nothing else; with `records` bound, this is an `interfaces.files.Applier`.

    Args:
        source: See `Applier`.
        directory: See `Applier`.
        progress: See `Applier`.
        records: Whether the layer's recipe is written.
        hand_off: Where small files go.
        beside: See `apply_layer`.
        reserve: See `apply_layer`.

    Raises:
        HeadwayError: As `Applier`.
    """
    unshare_umask()
    unpack = partial(apply_layer, source, directory, progress, hand_off=hand_off, beside=beside, reserve=reserve)
    if not records:
        return unpack()
    with Recorder(recipe_beside(directory), directory) as recorder:
        diff_id, report = unpack(observer=recorder)
        try:
            recorder.finish(diff_id)
        except StoreCorruptError as error:  # a layer that nobody foresaw comes without a recipe rather than not at all
            log.warning("%s has no recipe: %s", diff_id, error)
            recipe_beside(directory).unlink(missing_ok=True)
    return diff_id, report
