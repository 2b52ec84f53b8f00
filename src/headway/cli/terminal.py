"""Safe output on stdout and stderr.

Rule 1: no text from a registry, an image or a file name can move the cursor, change the terminal or pass for a line of
        Headway's own: control characters are escaped as JSON escapes them, so that JSON output stays valid.
Rule 2: any name can be written: characters that the encoding lacks are escaped.
Rule 3: a result that cannot be written is a failure of the command. A message that cannot be written is dropped: a
        pull must not end because its log is on a full disk, or because nobody reads its stderr any more.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter, RawIOBase, TextIOWrapper
from pathlib import Path
from typing import TextIO, TypeVar

from headway.store.failures import disk_error

S = TypeVar("S", bound=TextIOWrapper)

# C0 but for newline and tab, DEL, and C1, which some terminals obey as well (ECMA-48, 5.2 and 5.3).
_CONTROLS = {code: f"\\u{code:04x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
_BREAKS = {**_CONTROLS, ord("\n"): "\\n", ord("\t"): "\\t"}


def one_line(text: str) -> str:
    """Return foreign text so that it fits into one line: control characters and line breaks are escaped."""
    return text.translate(_BREAKS)


class LossyStream(TextIOWrapper):
    """A text stream for messages: what it cannot write is dropped."""

    def write(self, text: str, /) -> int:
        """Write text if that is possible; return how many characters it has."""
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is still here if that is possible."""
        with suppress(OSError):
            super().flush()


def can_draw(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can redraw lines."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def drawing(stream: TextIO) -> LossyStream:
    """Return another stream to the same place, for drawing: it lets control characters through, and escapes nothing."""
    raw = open(stream.fileno(), "wb", closefd=False)  # noqa: SIM115  # as long as the process
    return LossyStream(raw, stream.encoding, "backslashreplace")


class SafeStream(TextIOWrapper):
    """A text stream that escapes control characters, and characters that its encoding lacks."""

    def write(self, text: str, /) -> int:
        """Write text; return how many characters it has."""
        super().write(text.translate(_CONTROLS))
        return len(text)


class Messages(SafeStream, LossyStream):
    """Stderr of this process: safe, and never a reason to fail."""


class Results(SafeStream):
    """Stdout of this process: safe; writing to it raises the errors of `stdout_errors`."""

    def write(self, text: str, /) -> int:
        """See `SafeStream.write`."""
        with stdout_errors():
            return super().write(text)

    def flush(self) -> None:
        """Write what is still here."""
        with stdout_errors():
            super().flush()


@contextmanager
def stdout_errors() -> Iterator[None]:
    """Translate errors of the body, which writes to stdout.

    Raises:
        StoreFullError: No space left where stdout goes.
        BrokenPipeError: The reader has closed the pipe, which needs no message.
        StoreError: Anything else.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise disk_error(error, "stdout") from error


def make_safe() -> None:
    """Replace stdout and stderr of this process by safe ones, and a closed stdin by an empty one."""
    if not isinstance(sys.stdin, TextIOWrapper):
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115  # as long as the process
    sys.stdout = _safe(sys.stdout, Results)
    sys.stderr = _safe(sys.stderr, Messages)


def _safe(stream: object, kind: type[S]) -> S:
    if not isinstance(stream, TextIOWrapper):  # it was closed at start; /dev/null takes its descriptor
        stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # as long as the process
    # With -u or PYTHONUNBUFFERED, Python's stream has no buffer and writes through; ours then flushes at each line.
    by_line, encoding = stream.line_buffering or stream.write_through, stream.encoding
    buffer = stream.detach()
    if isinstance(buffer, RawIOBase):
        buffer = BufferedWriter(buffer)
    return kind(buffer, encoding, "backslashreplace", line_buffering=by_line)
