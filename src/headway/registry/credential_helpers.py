"""Credential helpers: programs ``docker-credential-NAME`` that keep logins for docker, podman and skopeo.

The protocol: one verb as argument, its subject on stdin, the answer on stdout, an exit status. The output of a helper
that fails goes into the error, but a login that it prints never does, not even if it fails after that.
"""

from __future__ import annotations

import json
import re
import subprocess

from headway.errors import InvalidSettingError
from headway.wire import as_text

SECONDS = 30.0
SAID_CHARACTERS = 200
_NAME = re.compile(r"[A-Za-z0-9._-]+\Z")
_NOT_FOUND = "credentials not found"
_LOGIN = re.compile(r"""secret["'\\]*\s*[:=]""", re.IGNORECASE)  # as JSON, or as a program prints what it holds


class SilentHelperError(InvalidSettingError):
    """A helper did not answer within the time limit."""


class CredentialHelper:
    """One helper.

    Args:
        name: The part of the program's name after ``docker-credential-``.

    Raises:
        InvalidSettingError: The name is not valid; it would start another program.
    """

    def __init__(self, name: str) -> None:
        if not _NAME.match(name):
            raise InvalidSettingError(f"{name!r} is not the name of a credential helper")
        self.program = f"docker-credential-{name}"

    def get(self, server: str) -> tuple[str, str] | None:
        """Return user and secret for a server; None if the helper has none.

        Raises:
            InvalidSettingError: It is not installed, fails, or answers something else.
        """
        status, said = self._run("get", server)
        if status != 0:
            if _NOT_FOUND in said.lower():
                return None
            raise self._failed("get", said)
        try:
            answer = json.loads(said)
        except (ValueError, RecursionError):
            answer = None
        user, secret = (answer.get("Username"), answer.get("Secret")) if isinstance(answer, dict) else (None, None)
        if not isinstance(user, str) or not isinstance(secret, str):
            raise InvalidSettingError(f"{self.program} get: its answer is not a login")
        return (as_text(user), as_text(secret)) if secret else None

    def store(self, server: str, user: str, secret: str) -> None:
        """Keep a login.

        Raises:
            InvalidSettingError: It could not.
        """
        status, said = self._run("store", json.dumps({"ServerURL": server, "Username": user, "Secret": secret}))
        if status != 0:
            raise self._failed("store", said, secret)

    def erase(self, server: str) -> None:
        """Forget a login; one that is not there is forgotten already.

        Raises:
            InvalidSettingError: It could not.
        """
        status, said = self._run("erase", server)
        if status != 0 and _NOT_FOUND not in said.lower():
            raise self._failed("erase", said)

    def _run(self, verb: str, subject: str) -> tuple[int, str]:
        try:
            done = subprocess.run(  # noqa: S603  # the user's own auth file names it, as for docker
                [self.program, verb],
                input=subject.encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # some chat there, and nobody promised that a secret is not in it
                timeout=SECONDS,
                check=False,
            )
        except FileNotFoundError:
            raise InvalidSettingError(f"{self.program} is not installed, but an auth file wants it") from None
        except subprocess.TimeoutExpired:
            raise SilentHelperError(f"{self.program} {verb}: no answer within {SECONDS:.0f} s") from None
        except OSError as error:
            raise InvalidSettingError(f"{self.program} cannot be started: {error.strerror}") from None
        return done.returncode, done.stdout.decode(errors="replace")

    def _failed(self, verb: str, said: str, secret: str = "") -> InvalidSettingError:
        line = next((line.strip() for line in said.splitlines() if line.strip()), "it fails and does not say why")
        if _LOGIN.search(line) or (secret and secret in line):
            line = "it fails, and prints a login"
        return InvalidSettingError(f"{self.program} {verb}: {line[:SAID_CHARACTERS]}")
