"""The limit on memory for decompression windows: one for all layers that this process unpacks."""

from __future__ import annotations

import threading

from headway.layers.compression.windows import Windows

_made: dict[int | None, Windows] = {}
_making = threading.Lock()


def shared_windows(limit: int | None) -> Windows:
    """Return the windows that share `limit` bytes (`Settings.max_unpack_memory`): the same object in every thread."""
    with _making:
        if limit not in _made:
            _made[limit] = Windows(limit)
        return _made[limit]
