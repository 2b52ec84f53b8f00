"""What is written to the terminal.

Rule 1: nothing that a registry, an image or a file's name says can move the cursor, change the terminal or pretend to
        be a line of Headway's own: control characters are written as JSON writes them, so that JSON stays as it is.
Rule 2: whatever a name is made of, it can be written: what the encoding does not have is escaped.
Rule 3: a result that cannot be written is a failure of the command. What is said beside it is lost without a word: a
        pull does not end because its log is on a full disk, or whoever read along has gone.
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
    """Return text from elsewhere as part of one line."""
    return text.translate(_BREAKS)


class LossyStream(TextIOWrapper):
    """A text stream for what is said beside the results: what it cannot write is lost."""

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
    """Whether a stream is a terminal that can take back what it shows; on others a drawing would appear at its end."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def drawing(stream: TextIO) -> LossyStream:
    """Return a stream to the same place for what is drawn: it takes control characters, and makes nothing safe."""
    raw = open(stream.fileno(), "wb", closefd=False)  # noqa: SIM115  # as long as the process
    return LossyStream(raw, stream.encoding, "backslashreplace")


class SafeStream(TextIOWrapper):
    """A text stream that escapes control characters, and what its encoding does not have."""

    def write(self, text: str, /) -> int:
        """Write text; return how many characters it has."""
        super().write(text.translate(_CONTROLS))
        return len(text)


class Messages(SafeStream, LossyStream):
    """What stderr of this process becomes."""


class Results(SafeStream):
    """What stdout of this process becomes; writing to it raises what `stdout_errors` does."""

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
    """Translate what the body, which writes to stdout, meets.

    Raises:
        StoreFullError: No space left where it goes.
        StoreError: Anything else but `BrokenPipeError`, which is not worth a word: whoever reads has had enough.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise disk_error(error, "stdout") from error


def make_safe() -> None:
    """Replace stdout and stderr of this process by safe ones, and a stdin that is closed by an empty one."""
    if not isinstance(sys.stdin, TextIOWrapper):
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115  # as long as the process
    sys.stdout = _safe(sys.stdout, Results)
    sys.stderr = _safe(sys.stderr, Messages)


def _safe(stream: object, kind: type[S]) -> S:
    if not isinstance(stream, TextIOWrapper):  # its descriptor is closed, which this one takes
        stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # as long as the process
    # An unbuffered Python (-u, PYTHONUNBUFFERED) has no buffer below and writes through: here it is line by line.
    by_line, encoding = stream.line_buffering or stream.write_through, stream.encoding
    buffer = stream.detach()
    if isinstance(buffer, RawIOBase):
        buffer = BufferedWriter(buffer)
    return kind(buffer, encoding, "backslashreplace", line_buffering=by_line)
