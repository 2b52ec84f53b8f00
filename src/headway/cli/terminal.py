"""What is written to the terminal.

Rule 1: nothing that a registry, an image or a file's name says can move the cursor, change the terminal or pretend to
        be a line of Headway's own: control characters are written as JSON writes them, so that JSON stays as it is.
Rule 2: whatever a name is made of, it can be written: what the encoding does not have is escaped.
"""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from pathlib import Path

# C0 but for newline and tab, DEL, and C1, which some terminals obey as well (ECMA-48, 5.2 and 5.3).
_CONTROLS = {code: f"\\u{code:04x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
_BREAKS = {**_CONTROLS, ord("\n"): "\\n", ord("\t"): "\\t"}


def one_line(text: str) -> str:
    """Return text from elsewhere as part of one line."""
    return text.translate(_BREAKS)


class SafeStream(TextIOWrapper):
    """A text stream that escapes control characters, and what its encoding does not have."""

    def write(self, text: str, /) -> int:
        """Write text; return how many characters it has."""
        super().write(text.translate(_CONTROLS))
        return len(text)


def make_safe() -> None:
    """Replace stdout and stderr of this process by safe ones."""
    sys.stdout = _safe(sys.stdout)
    sys.stderr = _safe(sys.stderr)


def is_written() -> bool:
    """Tell whether all that was printed on stdout has left; a reader that has gone is not worth a word."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            print(f"headway: cannot write to stdout: {error.strerror}", file=sys.stderr)
        return False
    return True


def _safe(stream: object) -> SafeStream:
    if not isinstance(stream, TextIOWrapper):  # its descriptor is closed, which this one takes
        stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # as long as the process
    line_buffering, encoding = stream.line_buffering, stream.encoding
    return SafeStream(stream.detach(), encoding, "backslashreplace", line_buffering=line_buffering)
