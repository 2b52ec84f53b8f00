"""What most commands begin with: their settings, and the references and platforms that their arguments name."""

from __future__ import annotations

import os
import re
import sys
from argparse import Namespace

from headway.cli.terminal import one_line
from headway.composition.host_platform import host_platform
from headway.errors import InvalidReferenceError
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.settings import Settings, default_data_root, home_directory, load

_LOGIN = re.compile(r"[^/:@]+:.*@(?=[^/@]+/|[^/:@]+\.[^/:@]+(:\d+)?\Z)")  # before a host, as in a URL, and no digest


def settings_of(options: Namespace, **flags: object) -> Settings:
    """Return the settings in force for a command; warnings about their source go to stderr.

    Args:
        options: The parsed command line.
        flags: Values of the command's own flags, by field name of `Settings`; None where a flag was not given.

    Raises:
        InvalidSettingError: They cannot be used.
    """
    loaded = load(
        {"data_root": options.data_root, "debug": options.debug, **flags},
        data_root=default_data_root(os.environ, home_directory(os.environ), root=os.geteuid() == 0),
        config_file=options.config_file,
    )
    for warning in loaded.warnings:
        say(warning)
    return loaded.settings


def registry_settings_of(options: Namespace, **flags: object) -> Settings:
    """Return the settings in force for a command that talks to registries, including its flags about registries.

    From here on, warnings of the login lookup go to stderr. Arguments and errors are those of `settings_of`.
    """
    from headway.cli.login_warnings import show_login_warnings  # noqa: PLC0415  # other commands need no logging

    settings = settings_of(
        options,
        registry_mirrors=_repeated(options, "registry_mirror"),
        insecure_registries=_repeated(options, "insecure_registry"),
        auth_file=options.authfile,
        **flags,
    )
    show_login_warnings()
    return settings


def _repeated(options: Namespace, name: str) -> tuple[str, ...] | None:
    """Return the values of a flag that may be repeated; None where there is none, or the command has no such flag."""
    values: list[str] | None = getattr(options, name, None)
    return tuple(values) if values else None


def reference_of(name: str) -> Reference:
    """Return the reference that an argument spells.

    Raises:
        InvalidReferenceError: It is not a reference. Docker's message does not quote the name, so it is added here,
            without a login that somebody may have put into it.
    """
    try:
        return Reference.parse(name)
    except InvalidReferenceError as error:
        if name and name in str(error):
            raise
        scheme, mark, rest = name.partition("://") if "://" in name else ("", "", name)
        rest = _LOGIN.sub("...@", rest)
        hint = f" (a name has no {scheme}:// before it: {rest})" if scheme else ""
        raise InvalidReferenceError(f"{error}: {scheme + mark + rest!r}{hint}") from None


def platform_of(options: Namespace) -> Platform | None:
    """Return the platform of ``--platform``, with this machine's for parts left out; None without that option.

    Raises:
        InvalidPlatformError: It is not a platform.
    """
    return Platform.parse(options.platform, host_platform()) if options.platform else None


def is_confirmed() -> bool:
    """Ask on the terminal whether to go on; return whether the answer is yes."""
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def say(sentence: str) -> None:
    """Tell the user something that is not a result."""
    print(f"headway: {one_line(sentence)}", file=sys.stderr)
