"""References: names of images in Docker's grammar (moby-behaviour 5.3).

Rule 1: what Docker accepts means the same here, and what Docker refuses is refused in the same words.
Rule 2: a `Reference` always holds the full spelling; the short one is for showing to people.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from headway.errors import InvalidDigestError, InvalidReferenceError
from headway.oci.digest import Digest, digest_fault

DOCKER_HUB: Final = "docker.io"
DEFAULT_TAG: Final = "latest"
MAX_NAME_CHARACTERS: Final = 255

_LEGACY_HUB = "index.docker.io"
_OFFICIAL = "library/"

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_LOOSE_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_LABEL = r"[a-zA-Z0-9]+(?:-+[a-zA-Z0-9]+)*"

_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_REMAINDER = re.compile(rf"({_PATH})(?::({_TAG}))?(?:@({_LOOSE_DIGEST}))?")
_WHOLE_TAG = re.compile(_TAG)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")


def is_tag(text: str) -> bool:
    """Tell whether `text` can be a tag."""
    return _WHOLE_TAG.fullmatch(text) is not None


class Reference(msgspec.Struct, frozen=True, gc=False):
    """A repository, and optionally a tag or a digest in it.

    Attributes:
        domain: ``host[:port]`` of the registry as the user wrote it; ``docker.io`` where none was given.
        path: The repository's name at the registry: ``library/busybox``.
        tag: Empty where none was given.
        digest: Digest of a manifest or index, which wins over the tag; None where none was given.
    """

    domain: str
    path: str
    tag: str = ""
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Return the reference that `text` spells, short or in full.

        Raises:
            InvalidReferenceError: Docker's grammar refuses it.
        """
        if _IDENTIFIER.fullmatch(text):
            raise InvalidReferenceError(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
        domain, remainder = _split_domain(text)
        name = remainder.partition(":")[0]
        if name != name.lower():
            raise InvalidReferenceError(f"invalid reference format: repository name ({name}) must be lowercase")
        match = _REMAINDER.fullmatch(remainder)
        if match is None or not _DOMAIN.fullmatch(domain):
            raise InvalidReferenceError("invalid reference format")
        path, tag, digest = match.groups()
        if len(domain) + 1 + len(path) > MAX_NAME_CHARACTERS:
            raise InvalidReferenceError(f"repository name must not be more than {MAX_NAME_CHARACTERS} characters")
        return cls(domain, path, tag or "", _digest(digest) if digest else None)

    @property
    def repository(self) -> str:
        """``domain/path``."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as people write it: without ``docker.io/`` and ``library/``.

        Where the short spelling would be read as something else (``docker.io/example.com/x``), the full one
        is given; Docker prints the short one.
        """
        if self.domain != DOCKER_HUB:
            return self.repository
        short = self.path.removeprefix(_OFFICIAL) if self.path.count("/") == 1 else self.path
        is_ambiguous = _split_domain(short) != (self.domain, self.path) or _IDENTIFIER.fullmatch(short)
        return self.repository if is_ambiguous else short

    @property
    def familiar(self) -> str:
        """The whole reference as people write it."""
        return self.familiar_name + self._suffix

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def with_tag(self, tag: str) -> Reference:
        """Return the reference with another tag; a digest stays.

        Raises:
            InvalidReferenceError: `tag` is not a valid tag.
        """
        if not is_tag(tag):
            raise InvalidReferenceError("invalid tag format")
        return Reference(self.domain, self.path, tag, self.digest)

    def with_digest(self, digest: Digest) -> Reference:
        """Return the reference with another digest; a tag stays."""
        return Reference(self.domain, self.path, self.tag, digest)

    def with_default_tag(self) -> Reference:
        """Return the reference with the tag ``latest`` where it has neither tag nor digest."""
        return self if self.tag or self.digest else self.with_tag(DEFAULT_TAG)

    def name_only(self) -> Reference:
        """Return the reference without tag and digest."""
        return Reference(self.domain, self.path)

    def __str__(self) -> str:
        """Return the full spelling."""
        return self.repository + self._suffix


def parse_any(text: str) -> Reference | Digest:
    """Return the digest that an image ID spells, else a reference (moby-behaviour 1.5, step 1).

    64 hex digits are a SHA-256. A shorter prefix of an ID looks like a name: the caller tries it as one.

    Raises:
        InvalidReferenceError: It is neither.
    """
    if _IDENTIFIER.fullmatch(text):
        return Digest.parse(f"sha256:{text}")
    try:
        return Digest.parse(text)
    except InvalidDigestError:
        return Reference.parse(text)


def _split_domain(text: str) -> tuple[str, str]:
    """Return domain and remainder; a domain is ``localhost``, or has a dot, a colon or a capital, as for Docker."""
    first, slash, rest = text.partition("/")
    is_domain = "." in first or ":" in first or first == "localhost" or first != first.lower()
    if not slash or not is_domain:
        domain, rest = DOCKER_HUB, text
    else:
        domain = DOCKER_HUB if first == _LEGACY_HUB else first
    if domain == DOCKER_HUB and "/" not in rest:
        rest = _OFFICIAL + rest
    return domain, rest


def _digest(text: str) -> Digest:
    fault = digest_fault(text)
    if fault:
        raise InvalidReferenceError(fault)
    return Digest(text)
