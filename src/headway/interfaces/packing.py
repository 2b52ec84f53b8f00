"""From a layer's tar to a blob that registries take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from headway.oci.digest import Digest


class Packed(msgspec.Struct, frozen=True):
    """What a tar has become.

    Attributes:
        digest: Of the blob.
        size: Of the blob, in bytes.
    """

    digest: Digest
    size: int


class Packer(Protocol):
    """Compresses tars with gzip, which every engine reads; the same tar always gives the same blob."""

    def __call__(self, tar: Iterable[bytes], write: Callable[[bytes], None]) -> Packed:
        """Compress `tar`, hand the blob over to `write`, and return what it is; what those raise, it raises."""
