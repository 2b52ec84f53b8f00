"""How a command is registered with the command line, and the options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

NAME = "NAME[:TAG|@DIGEST]"
SERVER = "HOST[:PORT]"
ONE = "an image: its name, or its ID or the first characters of it"
SEVERAL = "images: names, or IDs or the first characters of them"


class Command(NamedTuple):
    """One command.

    Attributes:
        fill: Adds the command's arguments to its parser; its docstring is the command's description in ``--help``.
        module: Module of the command's function; imported only when it is run, as `headway images` may take 100 ms.
        summary: A few words for the list of commands; empty for a command that the list leaves out.
        function: Name of that function; empty where it is the command's own name.
        is_server: Whether ``-H`` means something else than the daemon to ask.
        here_only: Whether it works on this machine's own data root only, never through a daemon.
    """

    fill: Callable[[argparse.ArgumentParser], None]
    module: str
    summary: str = ""
    function: str = ""
    is_server: bool = False
    here_only: bool = False


def some_path(text: str) -> Path:
    """Return a path; refuse an empty text, which is an unset variable and would mean the current directory."""
    if not text:
        raise argparse.ArgumentTypeError("a path must not be empty")
    return Path(text)


def absolute_path(text: str) -> Path:
    """Return an absolute path, since a daemon or a child process may have another current directory."""
    try:
        return some_path(text).absolute()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r} begins in a directory that is gone ({error.strerror})") from error


def insecure(parser: argparse.ArgumentParser) -> None:
    """Add ``--insecure-registry``."""
    parser.add_argument(
        "--insecure-registry",
        action="append",
        metavar="HOST[:PORT]|CIDR",
        help="allow plain HTTP, and TLS with any certificate, for this registry (repeatable)",
    )


def authfile(parser: argparse.ArgumentParser) -> None:
    """Add ``--authfile``."""
    parser.add_argument(
        "--authfile",
        type=absolute_path,
        metavar="FILE",
        help="read logins from this file (default: docker's file, then podman's)",
    )


def format_(parser: argparse.ArgumentParser, example: str) -> None:
    """Add ``--format``.

    Args:
        parser: Parser of the command.
        example: A template with fields of this command, for the help.
    """
    parser.add_argument(
        "--format",
        type=lambda text: text or "table",  # an empty one counts as none, as with docker
        default="table",
        metavar="table|json|TEMPLATE",
        help=f"how to print: a table, JSON, or a template of fields such as '{example}'",
    )


def filter_(parser: argparse.ArgumentParser, known: str) -> None:
    """Add ``--filter``.

    Args:
        parser: Parser of the command.
        known: The filters of this command, for the help.
    """
    parser.add_argument("-f", "--filter", action="append", metavar="KEY=VALUE", help=f"show only what matches: {known}")


def changes(parser: argparse.ArgumentParser) -> None:
    """Add ``--change``, which sets how containers of a new image run."""
    parser.add_argument(
        "-c",
        "--change",
        action="append",
        default=[],
        metavar="INSTRUCTION",
        help="a Dockerfile instruction to apply: 'CMD [\"run\"]', 'ENV A=b', 'USER app' (repeatable)",
    )


def common(parser: argparse.ArgumentParser, *, default: str | None, is_server: bool = False) -> None:
    """Add the options that every command has: which store to use, and ``--debug``.

    Args:
        parser: Parser of the command.
        default: Default of these options: None, or `argparse.SUPPRESS` where one in front of the command counts.
        is_server: Whether the command gives ``-H`` a meaning of its own: an address to listen on, or to adopt from.
    """
    if not is_server:
        parser.add_argument(
            "-H",
            "--host",
            metavar="ADDRESS",
            default=default,
            help="the daemon to use: unix:///PATH or tcp://HOST:PORT",
        )
    parser.add_argument(
        "--data-root", type=absolute_path, metavar="DIR", default=default, help="the directory of images and downloads"
    )
    parser.add_argument(
        "--config-file",
        type=Path,
        metavar="FILE",
        default=default,
        help="the settings file (default: /etc/headway/daemon.json)",
    )
    parser.add_argument("-D", "--debug", action="store_true", default=default or None, help="show tracebacks of errors")


def progress(parser: argparse.ArgumentParser) -> None:
    """Add ``--progress``."""
    parser.add_argument(
        "--progress",
        choices=("auto", "plain", "json", "none"),
        default="auto",
        help="how to show progress on stderr",
    )
