"""Logins that come with requests: Docker's AuthConfig, in a body or in ``X-Registry-Auth`` (moby-behaviour 3.8)."""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress

import msgspec

from headway.distribution.credentials import Credentials
from headway.engine.call import Call

HEADER = "X-Registry-Auth"


class AuthConfig(msgspec.Struct, frozen=True):
    """Docker's AuthConfig; a missing field is empty.

    Attributes:
        username: The user's name.
        password: Password or access token.
        auth: Both, as base64 of ``user:password``; counts if they are empty.
        serveraddress: The registry; empty for Docker Hub.
        identitytoken: From an earlier login.
        registrytoken: A Bearer token for the registry itself.
    """

    username: str = ""
    password: str = ""
    auth: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    registrytoken: str = ""

    @classmethod
    def of(cls, document: object) -> AuthConfig:
        """Return the login in a JSON document.

        Its keys may be in any case, as in Go: ignoring a ``serverAddress`` would send somebody's password to Docker
        Hub, and so would ignoring one that is no string.

        Raises:
            msgspec.ValidationError: A value is no string.
        """
        known = document.items() if isinstance(document, dict) else ()
        return msgspec.convert({key.lower(): value for key, value in known if value is not None}, cls)

    def __repr__(self) -> str:
        return "AuthConfig(...)"  # a log line or a traceback must not show it

    def credentials(self) -> Credentials:
        """Return the credentials for the registry."""
        login = Credentials(self.username, self.password, self.identitytoken, self.registrytoken)
        if not self.username and not self.password and self.auth:
            with suppress(ValueError):  # what cannot be read is no login, as in Docker
                login = Credentials.from_basic(self.auth)
        return login


def login_of(call: Call) -> Credentials | None:
    """Return the login that came with a request; None if there is none, and this machine's own is to be used.

    One that cannot be decoded counts as none, as in Docker.
    """
    text = call.request.headers.get(HEADER, "")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        login = AuthConfig.of(msgspec.json.decode(data)).credentials()
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        return None
    return login if login != Credentials() else None
