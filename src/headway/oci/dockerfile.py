"""Lines of a Dockerfile, as ``--change`` takes them: comments, continuations, flags and lists in JSON.

Rule: pure text in, values out. What Docker 20.10 does with a text is done here too, odd or not; its words are kept.
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
        name: In small letters.
        flags: Words in front that begin with ``--``, quotes taken off.
        rest: What is behind them.
        original: The whole line, continuations joined, blanks at its end kept.
        escape: The character that takes the meaning from the one behind it.
    """

    name: str
    flags: tuple[str, ...]
    rest: str
    original: str
    escape: str


def parse_dockerfile(text: str) -> list[Instruction]:
    """Return the instructions of a text.

    Raises:
        InvalidChangeError: There are none, or its escape character cannot be one.
    """
    lines = text.removeprefix("\ufeff").split("\n")
    escape = _escape(lines)
    found = [_instruction(line, escape) for line in _joined(lines, escape)]
    if not found:
        raise InvalidChangeError("file with no instructions")
    return found


def _escape(lines: list[str]) -> str:
    """Return what the directives in front of everything else say is the escape character."""
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
            continue  # neither ends a line that goes on
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
    """Return the words in front that begin with ``--``, and what is behind them."""
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
    """Return the list of texts that `text` begins with, None where it begins with no list: Docker then takes words.

    Raises:
        InvalidChangeError: A list of something else.
    """
    text = text.lstrip()
    if not text.startswith("["):
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(text)  # what is behind it does not count
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(item, str) for item in found):
        raise InvalidChangeError("when using JSON array syntax, arrays must be comprised of strings only")
    return list(found)


def go_quoted(text: str) -> str:
    """Return a text in quotes as Go's ``%q`` writes it, as far as people type such texts."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t") + '"'
