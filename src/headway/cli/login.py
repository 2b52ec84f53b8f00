"""`headway login` and `headway logout`."""

from __future__ import annotations

import getpass
import sys
from argparse import Namespace

from headway.cli.failures import DONE
from headway.cli.session import registry_settings_of, say
from headway.composition.network import login_file, transport_of
from headway.distribution.credentials import Credentials
from headway.distribution.endpoints import InsecureRegistries, own_endpoint, registry_host
from headway.errors import InvalidSettingError
from headway.registry.logins import verify
from headway.wire import as_text


def login(options: Namespace) -> int:
    """Show user and password to a registry, and save them once it has accepted them."""
    settings = registry_settings_of(options)
    host = registry_host(options.server)
    if options.password is not None:
        # Accepted by the parser only so that no message repeats it.
        raise InvalidSettingError("a password on the command line can be seen by everybody: use --password-stdin")
    username, password = _ask(options.username, from_stdin=options.password_stdin)
    endpoint = own_endpoint(host, InsecureRegistries(settings.insecure_registries))
    file = login_file(settings)
    transport = transport_of(settings)
    try:
        credentials = verify(transport, endpoint, Credentials(username, password))
    finally:
        transport.close()
    file.save(host, credentials)
    if file.helper_of(host) is None:
        what = "identity token" if credentials.identity_token else "password"
        say(f"warning: the {what} is stored unencrypted in {file.path}; a credential helper (credsStore) avoids that")
    print("Login Succeeded")
    return DONE


def logout(options: Namespace) -> int:
    """Forget the login at a registry."""
    host = registry_host(options.server)
    if login_file(registry_settings_of(options)).remove(host):
        print(f"Removing login credentials for {host}")
    else:
        print(f"Not logged in to {host}")
    return DONE


def _ask(username: str | None, *, from_stdin: bool) -> tuple[str, str]:
    if from_stdin:
        if not username:
            raise InvalidSettingError("--password-stdin needs --username")
        given = sys.stdin.buffer.read().decode(errors="surrogateescape")  # whatever the locale takes for text
        password = given.removesuffix("\n").removesuffix("\r")
    else:
        if not sys.stdin.isatty():
            raise InvalidSettingError("there is no terminal to ask on: use --username and --password-stdin")
        if not username:
            print("Username: ", end="", file=sys.stderr, flush=True)
            line = sys.stdin.readline()
            if not line:  # Ctrl-D echoes no end of line
                print(file=sys.stderr)
            username = line.strip()
        password = _password() if username else ""
    _check(username, password)
    return username, password


def _check(username: str, password: str) -> None:
    if not username or not password:
        raise InvalidSettingError("user and password must not be empty")
    if as_text(username + password) != username + password:
        raise InvalidSettingError("user and password must be UTF-8")  # docker's API cannot carry others
    if ":" in username:
        raise InvalidSettingError("a user's name cannot hold a colon")  # RFC 7617, section 2


def _password() -> str:
    """Ask the user; Ctrl-D gives an empty answer."""
    try:
        return getpass.getpass(stream=sys.stderr)
    except EOFError:
        print(file=sys.stderr)
        return ""
