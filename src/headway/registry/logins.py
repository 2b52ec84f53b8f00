"""Logins: verified at the registry, then saved where docker saves them (moby-behaviour 3.8, "Login").

Rule 1: nothing is saved that the registry has not accepted.
Rule 2: the file is replaced in one step, readable by its owner only, who stays the same; so does every key that is not
        ours. One process at a time reads and replaces it, so that none undoes what another has just saved.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from headway.distribution.credentials import Credentials
from headway.distribution.endpoints import Endpoint
from headway.errors import InvalidSettingError
from headway.registry.client import RegistryClient
from headway.registry.credential_helpers import CredentialHelper
from headway.registry.credentials import (
    entries_of,
    helper_for,
    host_of,
    keys_of,
    names_of,
    read_auth_file,
)
from headway.registry.request import Sender
from headway.registry.transport import Transport

_LOCK_SECONDS = 5.0


def verify(transport: Transport, endpoint: Endpoint, login: Credentials) -> Credentials:
    """Show a login to a registry; return what to save: the same, or the identity token given for it.

    Raises:
        RefusedError: The registry, or its token server, does not accept it.
        RegistryError: It cannot be asked.
    """
    known = login if login != Credentials() else None
    sender = Sender(transport, lambda _: None, offline=True)
    RegistryClient(sender).check(msgspec.structs.replace(endpoint, login=known))
    if token := sender.authorizer.identity_token:
        return Credentials(login.username, "", token)
    return login


class LoginFile:
    """The file, or the helper that it names, in which logins are saved.

    Args:
        path: Of the file; it need not exist.
        helper: Returns the credential helper of a name.
    """

    def __init__(self, path: Path, helper: Callable[[str], CredentialHelper] = CredentialHelper) -> None:
        self.path = path
        self._helper = helper

    def helper_of(self, host: str) -> str | None:
        """Return the name of the helper that keeps the login of a host, None where the file itself does."""
        return helper_for(read_auth_file(self.path), host)

    def save(self, host: str, credentials: Credentials) -> None:
        """Keep a login in place of an earlier one.

        Raises:
            InvalidSettingError: The file or the helper cannot.
        """
        key = keys_of(host)[0]
        entry: dict[str, str] = {}
        if name := self.helper_of(host):
            token = credentials.identity_token
            user, secret = ("<token>", token) if token else (credentials.username, credentials.password)
            self._helper(name).store(key, user, secret)
        else:
            entry["auth"] = base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()
            if credentials.identity_token:
                entry["identitytoken"] = credentials.identity_token
        # Beside a helper, an empty entry says that there is a login, as docker has it.
        self._change(lambda entries: {**entries, key: entry})

    def remove(self, host: str) -> bool:
        """Forget the login of a host; tell whether there was one.

        Raises:
            InvalidSettingError: The file or the helper cannot.
        """
        document = read_auth_file(self.path)
        entries = entries_of(document)
        names = names_of(host)
        keys = [key for key in entries if key in names or _is_url_of(key, names)]
        known = bool(keys)
        if name := helper_for(document, host):
            helper = self._helper(name)
            for key in keys_of(host):
                if helper.get(key) is not None:
                    known = True
                    helper.erase(key)
        if keys:
            self._change(lambda entries: {key: entries[key] for key in entries if key not in keys})
        return known

    def _change(self, how: Callable[[dict[str, object]], dict[str, object]]) -> None:
        target = Path(os.path.realpath(self.path))  # it may be a link into a collection of dot files, and stays one
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _one_at_a_time(target.parent):
                document = read_auth_file(self.path)
                _replace(target, {**document, "auths": how(entries_of(document))})
        except OSError as error:
            said = f"cannot write {self.path}: {error.strerror}; --authfile names another place"
            raise InvalidSettingError(said) from None


def _replace(target: Path, document: object) -> None:
    import tempfile  # noqa: PLC0415  # it brings bz2 and lzma with it, and most commands only read

    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            _give(handle, target)
            json.dump(document, file, indent="\t")
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)  # noqa: PTH105  # one name is a path, the other a text
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108  # a text, as above
        raise


@contextmanager
def _one_at_a_time(directory: Path) -> Iterator[None]:
    """Lock a directory, which outlives the files that replace each other in it.

    Not for ever: somebody may have locked it for a reason of their own, and some file systems have no such locks.
    """
    handle = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _is_locked(handle) and time.monotonic() < deadline:
            time.sleep(0.01)
        yield
    finally:
        os.close(handle)


def _is_locked(handle: int) -> bool:
    """Try to lock; tell whether there is nothing to wait for."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return not isinstance(error, BlockingIOError)  # NFS locks only what is open for writing
    return True


def _give(descriptor: int, target: Path) -> None:
    """Let a file belong to whom the one belongs that it replaces: with sudo, that is somebody else."""
    with suppress(OSError):
        status = target.stat()
        os.fchown(descriptor, status.st_uid, status.st_gid)


def _is_url_of(key: str, names: Sequence[str]) -> bool:
    return "://" in key and host_of(key) in names
