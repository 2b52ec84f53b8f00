"""Parses lines of a Dockerfile, as ``--change`` takes them: comments, continuations, flags and lists in JSON.

Rule: text in, values out, without I/O. A text is read as Docker 20.10 reads it, odd or not, with the same messages.
"""

from __future__ import annotations

import json
import re

import msgspec

from headway.errors import InvalidChangeError

ESCAPE = "\\"
_SPACES = " \t\v\f\r"
_WHITESPACE = re.compile(rf"[{_SPACES}]+")
_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*\Z")


class Instruction(msgspec.Struct, frozen=True):
    """One instruction.

    Attributes:
        name: In lower case.
        flags: The words behind it that begin with ``--``, without quotes.
        rest: The text behind the flags.
        original: The whole line, with its continuations joined, and blanks at its end kept.
        escape: The escape character.
    """

    name: str
    flags: tuple[str, ...]
    rest: str
    original: str
    escape: str


def parse_dockerfile(text: str) -> list[Instruction]:
    """Return the instructions of a text.

    Raises:
        InvalidChangeError: There are none, or its escape character is neither a backslash nor a backtick.
    """
    lines = text.removeprefix("\ufeff").split("\n")
    escape = _escape(lines)
    found = [_instruction(line, escape) for line in _joined(lines, escape)]
    if not found:
        raise InvalidChangeError("file with no instructions")
    return found


def _escape(lines: list[str]) -> str:
    """Return the escape character that the parser directives at the top set, or the default."""
    escape = ""
    for line in lines:
        directive = _DIRECTIVE.match(line.strip())
        if directive is None:
            break
        if directive[1].lower() != "escape":
            continue
        if escape:
            raise InvalidChangeError("only one escape parser directive can be used")
        escape = directive[2]
        if escape not in ("\\", "`"):
            raise InvalidChangeError(f"invalid escape token '{escape}' does not match ` or \\")
    return escape or ESCAPE


def _joined(lines: list[str], escape: str) -> list[str]:
    """Return lines without comments, each with those that continue it."""
    continued = re.compile(rf"(^|[^{re.escape(escape)}]){re.escape(escape)}[ \t]*\Z")
    joined: list[str] = []
    is_open = False
    for raw in lines:
        line = raw.removesuffix("\r")
        if not line.strip() or line.lstrip().startswith("#"):
            continue  # an empty line or a comment does not end a continued line
        text = continued.sub(r"\1", line)
        if is_open:
            joined[-1] += text
        else:
            joined.append(text.lstrip())
        is_open = text != line
    return [line for line in joined if line.strip()]


def _instruction(line: str, escape: str) -> Instruction:
    name, *behind = _WHITESPACE.split(line.strip(), maxsplit=1)
    flags, rest = _flags(behind[0] if behind else "")
    return Instruction(name.lower(), flags, rest.strip(), line, escape)


def _flags(text: str) -> tuple[tuple[str, ...], str]:
    """Return the leading words that begin with ``--``, and the text behind them."""
    flags: list[str] = []
    rest = text.lstrip(_SPACES)
    while rest.startswith("--"):
        word = _FLAG.match(rest)
        if word is None or word[0] == "--":
            break
        flags.append(_QUOTED.sub(lambda part: part[1] or part[2] or part[3] or "", word[0]))
        rest = rest[word.end() :].lstrip(_SPACES)
    return tuple(flags), rest


_FLAG = re.compile(rf"""(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^{_SPACES}"'\\])+""", re.S)
_QUOTED = re.compile(r"""\\(.)|"((?:\\.|[^"\\])*)"|'([^']*)'""", re.S)


def json_list(text: str) -> list[str] | None:
    """Return the list of strings that `text` begins with; None where it does not begin with a list in JSON.

    Docker takes such a text as plain words.

    Raises:
        InvalidChangeError: The list holds something else than strings.
    """
    text = text.lstrip()
    if not text.startswith("["):
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(text)  # text behind the list is ignored
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(item, str) for item in found):
        raise InvalidChangeError("when using JSON array syntax, arrays must be comprised of strings only")
    return list(found)


def go_quoted(text: str) -> str:
    """Return a text in quotes as Go's ``%q`` writes it; rare control characters are not escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t") + '"'
