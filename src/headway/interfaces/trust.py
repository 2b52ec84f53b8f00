"""The daemon's own key."""

from __future__ import annotations

from typing import Protocol


class TrustKey(Protocol):
    """A key pair that stays the same as long as the data root does.

    Attributes:
        key_id: Its name as Docker computes it: twelve groups of four, ``ABCD:EFGH:…``. The daemon's ID.
    """

    @property
    def key_id(self) -> str:
        """See the class."""

    def private_jwk(self) -> dict[str, str]:
        """Return the whole key as a JSON Web Key (RFC 7517): what signs with it needs no more. Never to be shown."""
