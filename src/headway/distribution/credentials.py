"""What proves to a registry who asks.

Rule: never logged, shown or kept; a value that is printed by mistake says nothing.
"""

from __future__ import annotations

import base64

import msgspec


class Credentials(msgspec.Struct, frozen=True):
    """What proves who asks.

    Attributes:
        username: Empty where only an identity token is known.
        password: Password or access token.
        identity_token: A refresh token from an earlier login; stands in for the password at token servers.
        registry_token: A Bearer token that is sent as it is; no token server is asked.
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __repr__(self) -> str:
        return "Credentials(...)"  # a log line or a traceback must not show them

    @classmethod
    def from_basic(cls, encoded: str) -> Credentials:
        """Return the user and password that auth files and headers spell as base64 of ``user:password``.

        Raises:
            ValueError: It is no base64 of a text.
        """
        user, _, password = base64.b64decode(encoded, validate=True).decode().rstrip("\0").partition(":")
        return cls(user, password)

    def basic(self) -> str:
        """Return the value of a Basic ``Authorization`` header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
