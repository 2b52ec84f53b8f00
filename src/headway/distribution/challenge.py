"""Parses the challenges of a 401 answer, and names token scopes (RFC 9110 section 11; distribution-spec, tokens)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

# `[\s,]*`, not `\s*,?\s*`, which backtracks for minutes over 60,000 spaces from a hostile server.
_SCHEME = re.compile(r"[\s,]*([A-Za-z][A-Za-z0-9_-]*)(?=\s+[A-Za-z_-]+\s*=|\s*,|\s*\Z)\s*")
_PARAMETER = re.compile(r'[\s,]*([A-Za-z_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))')


class Challenge(msgspec.Struct, frozen=True):
    """One way to authenticate that a server offers.

    Attributes:
        scheme: In lower case: ``basic``, ``bearer``, or one that Headway does not know.
        parameters: By name in lower case: ``realm``, ``service``, ``scope``, ``error``.
    """

    scheme: str
    parameters: dict[str, str]


def parse_challenges(headers: Sequence[str]) -> list[Challenge]:
    """Return the challenges of all ``WWW-Authenticate`` headers, in order; parts that cannot be read are skipped."""
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
    """Return the challenge to answer: Bearer before Basic, as Docker prefers them; None where neither is offered."""
    for scheme in ("bearer", "basic"):
        for challenge in challenges:
            if challenge.scheme == scheme:
                return challenge
    return None


class Access(msgspec.Struct, frozen=True):
    """The access to a registry that a request needs.

    Attributes:
        repository: Path of the repository; empty for a request that concerns none.
        push: Whether the request writes.
        source: Path of another repository that it reads from (a mount); empty for none.
    """

    repository: str
    push: bool = False
    source: str = ""

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that a token for this access needs (moby-behaviour 3.8)."""
        if not self.repository:
            return ()
        own = f"repository:{self.repository}:{'pull,push' if self.push else 'pull'}"
        return (own, f"repository:{self.source}:pull") if self.source else (own,)
