"""Signals that a container can be stopped by, as Docker knows them on Linux."""

from __future__ import annotations

_NAMES = frozenset(
    (
        *("ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE"),
        *("POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU"),
        *("URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX"),
        *(f"RTMIN+{number}" for number in range(1, 16)),
        *(f"RTMAX-{number}" for number in range(1, 15)),
    )
)


_DIGITS = 18  # of a number that Go reads


def is_signal(text: str) -> bool:
    """Tell whether `text` names a signal: by its number, or by its name with ``SIG`` in front or without."""
    if text.isascii() and text.isdecimal():
        return 0 < len(text.lstrip("0")) <= _DIGITS
    return text.upper().removeprefix("SIG") in _NAMES
