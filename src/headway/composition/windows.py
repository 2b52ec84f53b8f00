"""The memory for looking back that all layers share which this process unpacks, however they come."""

from __future__ import annotations

import threading

from headway.layers.windows import Windows

_made: dict[int | None, Windows] = {}
_making = threading.Lock()


def shared_windows(limit: int | None) -> Windows:
    """Return them; the same for the same limit (`Settings.max_unpack_memory`), in every thread."""
    with _making:
        if limit not in _made:
            _made[limit] = Windows(limit)
        return _made[limit]
