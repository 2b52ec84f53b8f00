"""Delays importing what unpacks layers until the first one arrives, so that a pull asks its registry sooner."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from headway.composition.windows import shared_windows
from headway.interfaces.files import Applier, TarSource
from headway.oci.digest import DiffID
from headway.records import LayerReport
from headway.settings import Settings

if TYPE_CHECKING:
    from headway.layers.unpacking.workers import Workers


def late_workers(settings: Settings) -> Applier:
    """Return an `Applier` that makes its `Workers` when the first layer is to be unpacked."""
    making = threading.Lock()
    made: list[Workers] = []

    def apply(source: TarSource, directory: Path, progress: Callable[[int], None]) -> tuple[DiffID, LayerReport]:
        with making:
            if not made:
                from headway.layers.unpacking.workers import Workers, is_worth_it  # noqa: PLC0415  # late, see above

                windows = shared_windows(settings.max_unpack_memory)
                made.append(Workers(is_worth_it=is_worth_it(), records=settings.record_recipes, windows=windows))
        return made[0](source, directory, progress)

    return apply
