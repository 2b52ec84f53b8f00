"""Splits a line of a Dockerfile into words: quotes, escapes and variables.

Rule: as Docker's own reading of them, which is not a shell's: a name that is not set is nothing, only ``:-``, ``:+``
and ``:?`` are known behind a name, and a backslash at the end of a word is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from headway.errors import InvalidChangeError
from headway.oci.dockerfile import go_quoted

MAX_INSERTED = 1 << 20
"""How many characters variables may bring into one word: a few lines that double each other fill any memory."""

_NAME = re.compile(r"\d+|[@*#?\-$!]|[^\W\d]\w*")
_QUOTES = {"'": "single-quote", '"': "double-quote"}


def split_words(text: str, escape: str) -> list[str]:
    """Return the words of a line, quotes and escapes as they stand."""
    quoted = re.escape(escape)
    word = re.compile(rf"""(?:{quoted}.|"(?:{quoted}.|[^"{quoted}])*(?:"|\Z)|'[^']*(?:'|\Z)|[^\s"'{quoted}])+""", re.S)
    return word.findall(text.removesuffix(escape) if not text.endswith(escape * 2) else text)


def expand(word: str, variables: Mapping[str, str], escape: str) -> str:
    """Return a word without its quotes and escapes, variables replaced by what they stand for.

    Raises:
        InvalidChangeError: A quote or a brace without its end, a substitution that there is not, hundreds of them in
            each other, or more than `MAX_INSERTED`.
    """
    try:
        return _Word(word, variables, escape).expanded()
    except _SyntaxError as error:
        raise InvalidChangeError(f"failed to process {go_quoted(word)}: {error}") from None
    except RecursionError:
        raise InvalidChangeError("failed to process a word: its substitutions are nested too deep") from None


class _SyntaxError(Exception):
    """What is wrong with a word."""


class _Word:
    """One word under way."""

    def __init__(self, text: str, variables: Mapping[str, str], escape: str) -> None:
        self._text = text
        self._variables = variables
        self._escape = escape
        self._at = 0
        self._room = MAX_INSERTED

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        character = self._peek()
        self._at += 1
        return character

    def expanded(self, stop: str = "") -> str:
        """Return everything up to `stop`, which is taken too; without one, up to the end."""
        parts: list[str] = []
        while character := self._peek():
            if character == stop:
                self._at += 1
                return "".join(parts)
            parts.append(self._part(character))
        if stop:
            raise _SyntaxError(f"unexpected end of statement while looking for matching {stop}")
        return "".join(parts)

    def _part(self, character: str) -> str:
        if character == "$":
            return self._variable()
        self._at += 1
        if character == "'":
            return self._single_quoted()
        if character == '"':
            return self._double_quoted()
        return self._next() if character == self._escape else character

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._at)
        if end < 0:
            raise _unended("'")
        text, self._at = self._text[self._at : end], end + 1
        return text

    def _double_quoted(self) -> str:
        parts: list[str] = []
        while (character := self._peek()) != '"':
            if not character:
                raise _unended('"')
            if character == "$":
                parts.append(self._variable())
                continue
            self._at += 1
            is_escaped = character == self._escape and self._peek() in ('"', "$", self._escape)
            parts.append(self._next() if is_escaped else character)
        self._at += 1
        return "".join(parts)

    def _variable(self) -> str:
        self._at += 1
        if self._peek() != "{":
            name = self._name()
            return self._value(name) if name else "$"
        self._at += 1
        if not self._peek():
            raise _SyntaxError("syntax error: missing '}'")
        if self._peek() in "{}:":
            raise _SyntaxError("syntax error: bad substitution")
        name = self._name()
        match self._next():
            case "}":
                return self._value(name)
            case "?":
                self._require(name, self._word(), is_enough=name in self._variables)
                return self._value(name)
            case ":":
                return self._substituted(name)
            case _:
                raise _SyntaxError("missing ':' in substitution")

    def _word(self) -> str:
        try:
            return self.expanded("}")
        except _SyntaxError:
            if self._peek():
                raise
            raise _SyntaxError("syntax error: missing '}'") from None

    def _require(self, name: str, word: str, *, is_enough: bool) -> None:
        if not is_enough:
            lack = "empty" if name in self._variables else "unset"
            raise _SyntaxError(f"{name}: {word or f'is not allowed to be {lack}'}")

    def _substituted(self, name: str) -> str:
        modifier, word = self._next(), self._word()
        value = self._value(name)
        match modifier:
            case "-":
                return value or word
            case "+":
                return word if value else ""
            case "?":
                self._require(name, word, is_enough=bool(value))
                return value
            case _:
                raise _SyntaxError(f"unsupported modifier ({modifier}) in substitution")

    def _value(self, name: str) -> str:
        value = self._variables.get(name, "")
        self._room -= len(value)
        if self._room < 0:
            raise _SyntaxError(f"variables bring more than {MAX_INSERTED} characters into it")
        return value

    def _name(self) -> str:
        found = _NAME.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[0]


def _unended(quote: str) -> _SyntaxError:
    return _SyntaxError(f"unexpected end of statement while looking for matching {_QUOTES[quote]}")
