"""What a pull needs only once a layer has come, imported then: the registry is asked meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from headway.interfaces.files import Applier, TarSource
from headway.oci.digest import DiffID
from headway.records import LayerReport

if TYPE_CHECKING:
    from headway.layers.workers import Workers


def late_workers(*, records: bool) -> Applier:
    """Return `Workers`, made when the first layer is to be unpacked.

    Args:
        records: Whether recipes are written.
    """
    making = threading.Lock()
    made: list[Workers] = []

    def apply(source: TarSource, directory: Path, progress: Callable[[int], None]) -> tuple[DiffID, LayerReport]:
        with making:
            if not made:
                from headway.layers.workers import Workers, is_worth_it  # noqa: PLC0415  # late, see above

                made.append(Workers(is_worth_it=is_worth_it(), records=records))
        return made[0](source, directory, progress)

    return apply
