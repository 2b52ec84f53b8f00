"""What a registry asks for when it answers 401 (RFC 9110 section 11, distribution token specification)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

# `[\s,]*` and never `\s*,?\s*`: that takes minutes for the 60,000 spaces that a hostile server may send.
_SCHEME = re.compile(r"[\s,]*([A-Za-z][A-Za-z0-9_-]*)(?=\s+[A-Za-z_-]+\s*=|\s*,|\s*\Z)\s*")
_PARAMETER = re.compile(r'[\s,]*([A-Za-z_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')


class Challenge(msgspec.Struct, frozen=True):
    """One way to authenticate.

    Attributes:
        scheme: Lower case: ``basic`` or ``bearer``, or something Headway does not know.
        parameters: By lower-case name: ``realm``, ``service``, ``scope``, ``error``.
    """

    scheme: str
    parameters: dict[str, str]


def parse_challenges(headers: Sequence[str]) -> list[Challenge]:
    """Return the challenges of all ``WWW-Authenticate`` headers, in order; what cannot be read is left out."""
    return [challenge for header in headers for challenge in _challenges(header)]


def _challenges(header: str) -> Iterator[Challenge]:
    position = 0
    while scheme := _SCHEME.match(header, position):
        position = scheme.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(header, position):
            name, quoted, plain = parameter.groups()
            parameters[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            position = parameter.end()
        yield Challenge(scheme[1].lower(), parameters)


def choose_challenge(challenges: Sequence[Challenge]) -> Challenge | None:
    """Return the challenge to answer: Bearer before Basic, as Docker does; None where neither is offered."""
    for scheme in ("bearer", "basic"):
        for challenge in challenges:
            if challenge.scheme == scheme:
                return challenge
    return None


class Access(msgspec.Struct, frozen=True):
    """What is to be done at a registry.

    Attributes:
        repository: Path of the repository; empty for the registry as such.
        push: Whether something is to be put there, and not only read.
        source: Path of another repository there that is read for it; empty for none.
    """

    repository: str
    push: bool = False
    source: str = ""

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of a token that allows it (moby-behaviour 3.8)."""
        if not self.repository:
            return ()
        own = f"repository:{self.repository}:{'pull,push' if self.push else 'pull'}"
        return (own, f"repository:{self.source}:pull") if self.source else (own,)
