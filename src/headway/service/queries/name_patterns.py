r"""Patterns of names as Go's regular expressions, which docker's users write (github.com/google/re2/wiki/Syntax).

Rule 1: what Go refuses is refused; so are its notations for characters that no name has, such as ``\pL`` and ``\x41``.
Rule 2: a search takes time in proportion to the pattern and to the name. Python's own expressions try one way after the
        other, and hold the whole process meanwhile: ``(a+)+$`` may take years.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from headway.errors import InvalidFilterError

Look: TypeAlias = Callable[[str, int], bool]
Part: TypeAlias = Callable[[int], int]
"""Adds the steps of a part of a pattern before the step that comes behind it; returns where they begin."""

_MAX_STEPS = 3_000
_MAX_TIMES = 1_000  # as in Go
_END = 0

_ALL = frozenset(map(chr, range(128)))  # names have no others
_WORD = frozenset(string.ascii_letters + string.digits + "_")
_KINDS = {"d": frozenset(string.digits), "w": _WORD, "s": frozenset("\t\n\f\r ")}
_POSIX = {
    "alnum": _WORD - {"_"},
    "alpha": frozenset(string.ascii_letters),
    "ascii": _ALL,
    "digit": _KINDS["d"],
    "lower": frozenset(string.ascii_lowercase),
    "punct": frozenset(string.punctuation),
    "space": _KINDS["s"] | {"\v"},
    "upper": frozenset(string.ascii_uppercase),
    "word": _WORD,
    "xdigit": frozenset(string.hexdigits),
}


def _is_edge(text: str, at: int) -> bool:
    return (at > 0 and text[at - 1] in _WORD) != (at < len(text) and text[at] in _WORD)


_LOOKS: dict[str, Look] = {
    "^": lambda _, at: at == 0,
    "$": lambda text, at: at == len(text),
    r"\A": lambda _, at: at == 0,
    r"\z": lambda text, at: at == len(text),
    r"\b": _is_edge,
    r"\B": lambda text, at: not _is_edge(text, at),
}
_LOOK = re.compile(r"[\^$]|\\[AzbB]")
_GROUP = re.compile(r"\((?:\?(?:P?<\w+>|(?P<on>[imsU]*)(?:-(?P<off>[imsU]+))?(?P<end>[:)])))?", re.ASCII)
_TIMES = re.compile(r"(?:([*+?])|\{(\d{1,4})(,(\d{1,4})?)?\})\??", re.ASCII)
_SET = re.compile(r"\[(\^?)(\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*)\]", re.ASCII | re.DOTALL)
_MEMBER = re.compile(
    r"\[:(?P<not>\^?)(?P<posix>\w+):\]|\\(?P<kind>[dDwWsS])"
    r"|(?P<low>\\[^a-zA-Z0-9]|[^\\])(?:-(?P<high>\\[^a-zA-Z0-9]|[^\\]))?(?!-\\\w)",
    re.ASCII | re.DOTALL,
)
_CHARACTER = re.compile(
    r"\\(?P<kind>[dDwWsS])|\\(?P<quoted>[^a-zA-Z0-9])|(?P<plain>[^\\*+?()|\[])", re.ASCII | re.DOTALL
)


class _Step(NamedTuple):
    """One step of a search; without a character to take, the next ones begin at once, if what it looks for is seen."""

    then: tuple[int, ...]
    takes: frozenset[str] | None = None
    sees: Look | None = None


class NamePattern:
    """What a pattern finds.

    Raises:
        InvalidFilterError: It is none, or one of more than three thousand steps.
    """

    def __init__(self, text: str) -> None:
        self._steps: list[_Step] = [_Step(())]
        try:
            self._start = _Reader(text, self._steps).whole()(_END)
        except (ValueError, RecursionError):
            raise InvalidFilterError("name", (text,)) from None

    def is_in(self, text: str) -> bool:
        """Tell whether the pattern is found anywhere in `text`."""
        reached: set[int] = set()
        for at in range(len(text) + 1):
            reached = self._spread(reached | {self._start}, text, at)
            if _END in reached:
                return True
            taking = (self._steps[number] for number in reached)
            reached = {step.then[0] for step in taking if step.takes is not None and text[at : at + 1] in step.takes}
        return False

    def _spread(self, reached: set[int], text: str, at: int) -> set[int]:
        """Return all steps that can be begun without a further character."""
        found, todo = set(reached), list(reached)
        while todo:
            step = self._steps[todo.pop()]
            if step.takes is None and (step.sees is None or step.sees(text, at)):
                new = [number for number in step.then if number not in found]
                found.update(new)
                todo += new
        return found


class _Reader:
    """Reads a pattern from left to right; raises `ValueError` for what is none."""

    def __init__(self, text: str, steps: list[_Step]) -> None:
        self._text = text
        self._at = 0
        self._steps = steps
        self._ignores_case = False

    def whole(self) -> Part:
        part = self._choice()
        if self._at < len(self._text):
            raise ValueError("a parenthesis that nothing opened")
        return part

    def _taken(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        if found := pattern.match(self._text, self._at):
            self._at = found.end()
        return found

    def _next_is(self, characters: str) -> bool:
        return self._text[self._at : self._at + 1] in (*characters,)

    def _choice(self) -> Part:
        parts = [self._sequence()]
        while self._next_is("|"):
            self._at += 1
            parts.append(self._sequence())
        return lambda then: self._add(_Step(tuple(part(then) for part in parts)))

    def _sequence(self) -> Part:
        parts: list[Part] = []
        while self._at < len(self._text) and not self._next_is("|)"):
            parts.append(self._repeated(self._part()))

        def build(then: int) -> int:
            for part in reversed(parts):
                then = part(then)
            return then

        return build

    def _refuse_times(self) -> None:
        if _TIMES.match(self._text, self._at):
            raise ValueError("nothing is there to be repeated")

    def _part(self) -> Part:
        self._refuse_times()
        if found := self._taken(_LOOK):
            look = _LOOKS[found[0]]
            return lambda then: self._add(_Step((then,), sees=look))
        if found := self._taken(_GROUP):
            return self._group(found)
        members = self._members()
        return lambda then: self._add(_Step((then,), takes=members))

    def _group(self, found: re.Match[str]) -> Part:
        before = self._ignores_case
        if found["end"]:
            self._ignores_case = "i" in found["on"] or (before and "i" not in (found["off"] or ""))
        if found["end"] == ")":  # it holds for what comes behind
            self._refuse_times()
            return lambda then: then
        part = self._choice()
        if not self._next_is(")"):
            raise ValueError("a parenthesis that nothing closes")
        self._at += 1
        self._ignores_case = before
        return part

    def _members(self) -> frozenset[str]:
        """Return which characters may stand here."""
        if found := self._taken(_SET):
            members = self._cased(_set(found[2]))
            return _ALL - members if found[1] else members
        if not (found := self._taken(_CHARACTER)):
            raise ValueError("nothing that Go's expressions have")
        if found["kind"]:
            return _kind(found["kind"])
        if found[0] == ".":
            return _ALL - {"\n"}
        return self._cased(frozenset(found["quoted"] or found["plain"]))

    def _cased(self, members: frozenset[str]) -> frozenset[str]:
        return members | set(map(str.swapcase, members)) if self._ignores_case else members

    def _repeated(self, part: Part) -> Part:
        found = self._taken(_TIMES)
        if not found:
            return part
        if self._taken(_TIMES):
            raise ValueError("repeated twice")
        least, most = _times(found)

        def build(then: int) -> int:
            if most is None:
                begin = self._add(_Step(()))
                self._steps[begin] = _Step((part(begin), then))
            else:
                begin = then
                for _ in range(most - least):
                    begin = self._add(_Step((part(begin), then)))
            for _ in range(least):
                begin = part(begin)
            return begin

        return build

    def _add(self, step: _Step) -> int:
        if len(self._steps) >= _MAX_STEPS:
            raise ValueError("too many steps")
        self._steps.append(step)
        return len(self._steps) - 1


def _times(found: re.Match[str]) -> tuple[int, int | None]:
    """Return how often at least, and at most; None where that has no end."""
    sign, least, comma, most = found.groups()
    if sign:
        return int(sign == "+"), 1 if sign == "?" else None
    low = int(least)
    high = low if not comma else int(most) if most else None
    if low > _MAX_TIMES or (high is not None and not low <= high <= _MAX_TIMES):
        raise ValueError("so often")
    return low, high


def _kind(letter: str) -> frozenset[str]:
    members = _KINDS[letter.lower()]
    return _ALL - members if letter.isupper() else members


def _posix(name: str, *, negated: bool) -> frozenset[str]:
    if name not in _POSIX:
        raise ValueError("no such set")
    return _ALL - _POSIX[name] if negated else _POSIX[name]


def _set(text: str) -> frozenset[str]:
    """Return the characters that stand between brackets."""
    if not text:
        raise ValueError("a set of nothing")
    members: frozenset[str] = frozenset()
    at = 0
    while at < len(text):
        found = _MEMBER.match(text, at)
        if found is None:
            raise ValueError("no member of a set")
        at = found.end()
        if found["posix"]:
            members |= _posix(found["posix"], negated=bool(found["not"]))
        elif found["kind"]:
            members |= _kind(found["kind"])
        else:
            members |= _span(found["low"][-1], (found["high"] or found["low"])[-1])
    return members


def _span(low: str, high: str) -> frozenset[str]:
    if high < low:
        raise ValueError("a range whose end comes before its start")
    return frozenset(map(chr, range(ord(low), ord(high) + 1)))
