"""Credentials, by which a user is authenticated to a registry.

Rule: they are never logged, shown or stored here; the ``repr`` of a value shows nothing of it.
"""

from __future__ import annotations

import base64

import msgspec


class Credentials(msgspec.Struct, frozen=True):
    """A login.

    Attributes:
        username: User name; empty where only an identity token is known.
        password: Password or access token.
        identity_token: A refresh token from an earlier login, used in place of the password at token servers.
        registry_token: A Bearer token, sent to the registry as it is; no token server is asked.
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __repr__(self) -> str:
        return "Credentials(...)"  # a log line or a traceback must not show them

    @classmethod
    def from_basic(cls, encoded: str) -> Credentials:
        """Return the login that auth files and headers have as the base64 of ``user:password``.

        Raises:
            ValueError: `encoded` is not the base64 of a UTF-8 text.
        """
        user, _, password = base64.b64decode(encoded, validate=True).decode().rstrip("\0").partition(":")
        return cls(user, password)

    def basic(self) -> str:
        """Return the value of a Basic ``Authorization`` header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
