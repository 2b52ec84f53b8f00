"""What every command does first: its settings, and the store it works on."""

from __future__ import annotations

import os
import re
import sys
from argparse import Namespace
from pathlib import Path

from headway.cli.terminal import one_line
from headway.errors import InvalidReferenceError
from headway.oci.reference import Reference
from headway.settings import Settings, default_data_root, load

_LOGIN = re.compile(r"[^/:@]+:.*@(?=[^/@]+/|[^/:@]+\.[^/:@]+(:\d+)?\Z)")  # before a host, as in a URL, and no digest


def settings_of(options: Namespace, **flags: object) -> Settings:
    """Return the settings in force for a command; warnings about their source go to stderr.

    Args:
        options: The parsed command line.
        flags: What the command's own flags say, by field name of `Settings`; None says nothing.

    Raises:
        InvalidSettingError: They cannot be used.
    """
    home = Path(os.environ.get("HOME") or "/")
    loaded = load(
        {"data_root": options.data_root, "debug": options.debug, **flags},
        data_root=default_data_root(os.environ, home, root=os.geteuid() == 0),
        config_file=options.config_file,
    )
    for warning in loaded.warnings:
        say(warning)
    if "auth_file" in flags:  # it is a command that asks registries
        from headway.cli.login_warnings import show_login_warnings  # noqa: PLC0415  # the others do without logging

        show_login_warnings()
    return loaded.settings


def reference_of(name: str) -> Reference:
    """Return the reference that a word of the command line spells.

    Raises:
        InvalidReferenceError: It spells none. Docker's sentence is made to stand behind one word, and names none.
            A login that was put into a name is not repeated.
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


def say(sentence: str) -> None:
    """Tell the user something that is not a result."""
    print(f"headway: {one_line(sentence)}", file=sys.stderr)
