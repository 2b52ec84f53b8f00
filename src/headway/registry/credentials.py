"""Finds the credentials for a registry in the files of docker and podman, and in credential helpers.

Rule 1: credentials are looked up when they are needed, handed to one request, and never logged or shown; what writes
them is `logins`, and nothing else.
Rule 2: a helper that cannot answer is warned of, and whoever needed none goes on without a login, as with docker. One
that says nothing is left alone for a while: each wait for it is time that the registry is not asked in.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from headway.distribution.credentials import Credentials
from headway.distribution.endpoints import DOCKER_HUB_NAMES
from headway.errors import InvalidSettingError
from headway.registry.credential_helpers import CredentialHelper, SilentHelperError
from headway.wire import as_text

HUB_KEY = "https://index.docker.io/v1/"
"""How Docker calls Docker Hub in its files and to its helpers."""
SILENT_SECONDS = 300.0
log = logging.getLogger(__name__)
_TOKEN_USER = "<token>"  # noqa: S105  # a helper's word for: what follows is an identity token


CredentialSource = Callable[[str], Credentials | None]
"""Returns the credentials for a registry's ``host`` or ``host/repository``, None for an anonymous request."""


def auth_files(
    environment: Mapping[str, str], home: Path, named: Path | None = None, *, uid: int | None = None
) -> list[Path]:
    """Return the files that may hold credentials, in the order in which they are asked: docker's, then podman's.

    Args:
        environment: Of this process.
        home: The user's.
        named: By ``--authfile`` or the setting ``auth-file``; then no other file is asked.
        uid: The user's; podman has a place for who has no ``$XDG_RUNTIME_DIR``.
    """
    if named is not None:
        return [named]
    if by_environment := environment.get("REGISTRY_AUTH_FILE"):
        return [Path(by_environment)]
    docker = Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    places = [Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "containers"]
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        places.insert(0, Path(runtime) / "containers")
    elif uid is not None:
        places.insert(0, Path("/run/containers") / str(uid))
    return [docker, *(place / "auth.json" for place in places)]


class AuthFiles:
    """A `CredentialSource` that reads the users' auth files, and asks their helpers, each time it is asked.

    Args:
        files: In order; the first that knows the host decides. Files that do not exist are passed over, and the only
            one there is was named by somebody, who is told.
        helper: Returns the credential helper of a name.
        clock: Monotonic time, in seconds.
    """

    def __init__(
        self,
        files: Sequence[Path],
        helper: Callable[[str], CredentialHelper] = CredentialHelper,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._helper = helper
        self._clock = clock
        self._warned: set[str] = set()
        self._silent: dict[str, float] = {}  # until when a helper is not asked

    def __call__(self, resource: str) -> Credentials | None:
        """Return what the files say of ``host`` or ``host/repository``; the longest name that they know decides.

        Raises:
            InvalidSettingError: A file cannot be read or is not what docker or podman write.
        """
        host = resource.partition("/")[0]
        for file in self._files:
            if (document := _document(file)) is None:
                if len(self._files) == 1:  # somebody has named it
                    self._warn(f"there is no auth file {file}", host)
            elif found := self._answer(document, host) or _saved(document, resource, file):
                return found
        return None

    def _answer(self, document: Mapping[str, object], host: str) -> Credentials | None:
        """Return what the helper in charge of a host knows; nothing where it cannot say, with one warning of each kind.

        Most images are public, and a file of another machine's may name a helper that is not here.
        """
        try:
            return self._asked(document, host)
        except InvalidSettingError as error:
            self._warn(str(error), host)
            return None

    def _warn(self, warning: str, host: str) -> None:
        if warning not in self._warned:
            self._warned.add(warning)
            log.warning("%s; %s is asked without that login", warning, host)

    def _asked(self, document: Mapping[str, object], host: str) -> Credentials | None:
        """Return what the helper in charge of a host knows."""
        name = helper_for(document, host)
        if name is None or self._clock() < self._silent.get(name, 0.0):
            return None
        try:
            return self._login(self._helper(name), host)
        except SilentHelperError:
            self._silent[name] = self._clock() + SILENT_SECONDS
            raise

    @staticmethod
    def _login(helper: CredentialHelper, host: str) -> Credentials | None:
        for key in keys_of(host):
            if (answer := helper.get(key)) is not None:
                user, secret = answer
                return Credentials("", "", secret) if user == _TOKEN_USER else Credentials(user, secret)
        return None


def keys_of(host: str) -> Sequence[str]:
    """Return every key that the login of the registry `host` is known by; the first is what Docker saves it by."""
    return (HUB_KEY, *names_of(host)) if host in DOCKER_HUB_NAMES else (host, f"https://{host}")


def names_of(host: str) -> Sequence[str]:
    """Return every name of the registry that `host` is one of."""
    return DOCKER_HUB_NAMES if host in DOCKER_HUB_NAMES else (host,)


def host_of(key: str) -> str:
    """Return the host that a key of an auth file speaks of; old logins wrote URLs."""
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def read_auth_file(file: Path) -> dict[str, object]:
    """Return an auth file's whole content; nothing where it does not exist.

    Raises:
        InvalidSettingError: It cannot be read, or is not JSON.
    """
    return _document(file) or {}


def _document(file: Path) -> dict[str, object] | None:
    """Return what an auth file says; None where it does not exist. Raise as `read_auth_file`."""
    try:
        document = json.loads(file.read_bytes().strip() or b"{}")  # docker takes an empty one, which a crash may leave
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise InvalidSettingError(f"cannot read {file}: {said}", file=str(file)) from None
    return document if isinstance(document, dict) else {}


def entries_of(document: Mapping[str, object]) -> dict[str, object]:
    """Return the logins that an auth file holds, by key."""
    entries = document.get("auths")
    return entries if isinstance(entries, dict) else {}


def helper_for(document: Mapping[str, object], host: str) -> str | None:
    """Return the name of the credential helper that an auth file puts in charge of a host."""
    helpers = document.get("credHelpers")
    if isinstance(helpers, dict):
        for key in keys_of(host):
            if isinstance(name := helpers.get(key), str) and name:
                return name
    store = document.get("credsStore")
    return store if isinstance(store, str) and store else None


def _saved(document: Mapping[str, object], resource: str, file: Path) -> Credentials | None:
    entries = entries_of(document)
    for key in _keys(entries, resource):
        if key in entries and (found := _decode(entries[key], file)):
            return found
    return None


def _keys(entries: Mapping[str, object], resource: str) -> Iterator[str]:
    """Give the keys that may speak of a repository, the most exact first, URLs of old logins last."""
    host, _, path = resource.partition("/")
    names = names_of(host)
    parts = path.split("/") if path else []
    for length in range(len(parts), -1, -1):
        yield from ("/".join([name, *parts[:length]]) for name in names)
    yield from (key for key in entries if "://" in key and host_of(key) in names)
    yield from (key for key in entries if key.rstrip("/").removesuffix("/v1").removesuffix("/v2") in names)


def _decode(entry: object, file: Path) -> Credentials | None:
    if not isinstance(entry, dict):
        return None
    text = {key: as_text(value) for key, value in entry.items() if isinstance(value, str)}
    found = Credentials(text.get("username", ""), text.get("password", ""), text.get("identitytoken", ""))
    if encoded := text.get("auth"):
        try:
            login = Credentials.from_basic(encoded)
        except ValueError:
            said = f"{file} holds an entry that is not base64 of a text"
            raise InvalidSettingError(said, file=str(file)) from None
        found = Credentials(login.username, login.password, found.identity_token)
    return found if found.username or found.identity_token else None
