"""Decides when to sync bytes that have arrived, and so how many a power cut may cost (ADR 0024).

Rule: on a slow link a power cut costs few bytes; on a fast one, which brings them again in seconds, the disk is spared.
"""

from __future__ import annotations

LOSS_BYTES = 64 << 20
LOSS_SECONDS = 5.0
FAST_LOSS_SECONDS = 20.0
JUDGE_SECONDS = 1.0  # a link that brings `LOSS_BYTES` in less than this is fast


def sync_due_in(unsynced: int, age_seconds: float, *, is_fast: bool) -> float:
    """Return in how many seconds a blob has to be synced; 0 for at once.

    Args:
        unsynced: How many of its bytes are not synced; at least 1.
        age_seconds: How long there have been unsynced bytes.
        is_fast: Whether the link could bring them again about as fast as a disk writes them.
    """
    if not is_fast and unsynced >= LOSS_BYTES and age_seconds >= JUDGE_SECONDS:
        return 0.0
    return max(0.0, (FAST_LOSS_SECONDS if is_fast else LOSS_SECONDS) - age_seconds)
