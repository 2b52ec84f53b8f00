"""Digests, which name content by a hash of its bytes (image-spec, descriptor.md, "Digests")."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import NewType

from headway.errors import InvalidDigestError

_HEX_LENGTH = {"sha256": 64, "sha384": 96, "sha512": 128}
ALGORITHMS = tuple(_HEX_LENGTH)
"""Hash algorithms that a digest may use."""
_ANY_DIGEST = re.compile(r"([a-z0-9]+(?:[.+_-][a-z0-9]+)*):([A-Za-z0-9=_-]+)")
_HEX = re.compile(r"[a-f0-9]+")


class Digest(str):
    """``algorithm:hex`` of some bytes as transferred; always valid, since only `parse` and `of` make one.

    A string, so that it can be a key, a column and a path without conversion.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Return `text` as a digest.

        Raises:
            InvalidDigestError: Unknown algorithm, wrong length, or upper-case hex.
        """
        fault = digest_fault(text)
        if fault:
            raise InvalidDigestError(f"{fault}: {text!r}")
        return cls(text)

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview, algorithm: str = "sha256") -> Digest:
        """Return the digest of `data`."""
        return cls(f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}")

    @property
    def algorithm(self) -> str:
        """``sha256``, ``sha384`` or ``sha512``."""
        return self.partition(":")[0]

    @property
    def hex(self) -> str:
        """The part after the colon."""
        return self.partition(":")[2]

    @property
    def short(self) -> str:
        """The first 12 hex digits, as docker shows them."""
        return self.hex[:12]


def digest_fault(text: str) -> str:
    """Return what is wrong with the text of a digest, in Docker's words; an empty text where it is right."""
    match = _ANY_DIGEST.fullmatch(text)
    if match is None:
        return "invalid checksum digest format"
    algorithm, encoded = match.groups()
    if algorithm not in _HEX_LENGTH:
        return "unsupported digest algorithm"
    if len(encoded) != _HEX_LENGTH[algorithm]:
        return "invalid checksum digest length"
    return "" if _HEX.fullmatch(encoded) else "invalid checksum digest format"


DiffID = NewType("DiffID", Digest)
"""Digest of a layer's uncompressed tar (image-spec, config.md, "Layer DiffID")."""

ChainID = NewType("ChainID", Digest)
"""Digest that names a stack of layers (image-spec, config.md, "Layer ChainID")."""

ImageID = NewType("ImageID", Digest)
"""Digest of an image's config: what docker calls the image ID."""


def chain_ids(diff_ids: Iterable[DiffID]) -> list[ChainID]:
    """Return the chain ID of every prefix of `diff_ids`, bottom layer first."""
    chain: list[ChainID] = []
    for diff_id in diff_ids:
        chain.append(chain_id_over(chain[-1] if chain else None, diff_id))
    return chain


def chain_id_over(parent: ChainID | None, diff_id: DiffID) -> ChainID:
    """Return the ID of the chain of a layer on top of the chain `parent`; None for a bottom layer."""
    return ChainID(diff_id if parent is None else Digest.of(f"{parent} {diff_id}".encode()))
