"""How long what has arrived may be without a sync: what a power cut may cost (ADR 0024).

Rule: where bytes are dear, the cut costs few of them; where they come again within seconds, the disk is spared.
"""

from __future__ import annotations

LOSS_BYTES = 64 << 20
LOSS_SECONDS = 5.0
FAST_LOSS_SECONDS = 20.0
JUDGE_SECONDS = 1.0  # by then a link has shown what it is; `LOSS_BYTES` in less is fast


def sync_due_in(unsynced: int, age_seconds: float, *, is_fast: bool) -> float:
    """Return in how many seconds a blob has to be synced, 0 for at once.

    Args:
        unsynced: Its bytes that a power cut could take; at least one.
        age_seconds: For how long there have been any.
        is_fast: Whether the link brings them again about as fast as a disk would have written them.
    """
    if not is_fast and unsynced >= LOSS_BYTES and age_seconds >= JUDGE_SECONDS:
        return 0.0
    return max(0.0, (FAST_LOSS_SECONDS if is_fast else LOSS_SECONDS) - age_seconds)
