"""Which credentials go to which registry.

Rule: credentials are looked up when they are needed, handed to one request, and never written, logged or shown.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from headway.distribution.endpoints import DOCKER_HUB_HOST
from headway.errors import InvalidSettingError

_HUB_HOSTS = ("index.docker.io", "docker.io", DOCKER_HUB_HOST)


class Credentials(msgspec.Struct, frozen=True):
    """What proves who asks.

    Attributes:
        username: Empty where only an identity token is known.
        password: Password or access token.
        identity_token: A refresh token from an earlier login; stands in for the password at token servers.
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""

    def __repr__(self) -> str:
        return "Credentials(...)"  # a log line or a traceback must not show them

    def basic(self) -> str:
        """Return the value of a Basic ``Authorization`` header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


CredentialSource = Callable[[str], Credentials | None]
"""Returns the credentials for a registry's host, None for an anonymous request."""


def anonymous(host: str) -> Credentials | None:
    """Know no credentials at all."""
    return None


def auth_files(environment: Mapping[str, str], home: Path) -> list[Path]:
    """Return the files that may hold credentials, in the order in which they are asked (interface.md)."""
    if named := environment.get("REGISTRY_AUTH_FILE"):
        return [Path(named)]
    docker = Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    runtime = environment.get("XDG_RUNTIME_DIR")
    return [docker, *([Path(runtime) / "containers" / "auth.json"] if runtime else [])]


class AuthFiles:
    """A `CredentialSource` that reads the users' auth files each time it is asked.

    Args:
        files: In order; the first that knows the host decides. Files that do not exist are passed over.
    """

    def __init__(self, files: list[Path]) -> None:
        self._files = files

    def __call__(self, host: str) -> Credentials | None:
        """Return what the files say of `host`.

        Raises:
            InvalidSettingError: A file cannot be read or is not what docker or podman write.
        """
        for file in self._files:
            entries = _entries(file)
            names = _HUB_HOSTS if host in _HUB_HOSTS else (host,)
            # As Docker looks it up: by the host itself first, then by a URL of it, as old logins wrote them.
            for key in [*names, *(key for key in entries if _host_of(key) in names)]:
                if key in entries:
                    return _decode(entries[key], file)
        return None


def _host_of(key: str) -> str:
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _entries(file: Path) -> Mapping[str, object]:
    try:
        document = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise InvalidSettingError(f"cannot read {os.fspath(file)}: {error}") from None
    entries = document.get("auths") if isinstance(document, dict) else None
    return entries if isinstance(entries, dict) else {}


def _decode(entry: object, file: Path) -> Credentials | None:
    if not isinstance(entry, dict):
        return None
    text = {key: value for key, value in entry.items() if isinstance(value, str)}
    username, password = text.get("username", ""), text.get("password", "")
    if encoded := text.get("auth"):
        try:
            username, _, password = base64.b64decode(encoded, validate=True).decode().rstrip("\0").partition(":")
        except ValueError:
            raise InvalidSettingError(f"{os.fspath(file)} holds an entry that is not base64") from None
    found = Credentials(username, password, text.get("identitytoken", ""))
    return found if found.username or found.identity_token else None
