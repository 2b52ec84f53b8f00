"""Numbers as people read them, in messages of every layer."""

from __future__ import annotations


def size(count: float) -> str:
    """Return bytes in decimal units with three significant digits: ``28.4 MB``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            break
        count /= 1000
    if unit == "B":
        return f"{count:.0f} B"
    return f"{count:.2f} {unit}" if count < 10 else f"{count:.1f} {unit}" if count < 100 else f"{count:.0f} {unit}"


def duration(seconds: float) -> str:
    """Return a time span: ``4 s``, ``6 m 58 s``, ``2 h 05 m``."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} m"


def counted(number: int, noun: str) -> str:
    """Return how many of something there are: ``1 layer``, ``2 layers``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
