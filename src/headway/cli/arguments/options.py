"""What a command is to the command line, and options that several commands take."""

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
        fill: Adds its arguments to its parser; its docstring is the command's description.
        module: Where it is; imported only where it is chosen, since `headway images` has 100 ms of CPU in all.
        summary: What the list of commands says of it, in a few words.
        function: Its name there; empty where it is the command's.
        is_server: Whether ``-H`` is not the daemon that it asks.
        here_only: Whether it works on this machine's own data root, and through no daemon.
    """

    fill: Callable[[argparse.ArgumentParser], None]
    module: str
    summary: str = ""
    function: str = ""
    is_server: bool = False
    here_only: bool = False


def some_path(text: str) -> Path:
    """Return a path; an empty one is a variable that is not set, and would be wherever somebody stands."""
    if not text:
        raise argparse.ArgumentTypeError("a path must not be empty")
    return Path(text)


def absolute_path(text: str) -> Path:
    """Return a path that means the same wherever it is used: a daemon, or a process that is started, is elsewhere."""
    try:
        return some_path(text).absolute()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r} begins in a directory that is gone ({error.strerror})") from error


def insecure(parser: argparse.ArgumentParser) -> None:
    """Add which registries may be asked without verified TLS."""
    parser.add_argument(
        "--insecure-registry",
        action="append",
        metavar="HOST[:PORT]|CIDR",
        help="allow plain HTTP, and TLS with any certificate, for this registry (repeatable)",
    )


def authfile(parser: argparse.ArgumentParser) -> None:
    """Add where logins are."""
    parser.add_argument(
        "--authfile",
        type=absolute_path,
        metavar="FILE",
        help="read logins from this file (default: docker's file, then podman's)",
    )


def format_(parser: argparse.ArgumentParser, example: str) -> None:
    """Add how results are shown.

    Args:
        parser: Learns it.
        example: A template of the command's own fields.
    """
    parser.add_argument(
        "--format",
        type=lambda text: text or "table",  # an empty one says nothing, as to docker
        default="table",
        metavar="table|json|TEMPLATE",
        help=f"how to print: a table, JSON, or a template of fields such as '{example}'",
    )


def filter_(parser: argparse.ArgumentParser, known: str) -> None:
    """Add which of many are meant.

    Args:
        parser: Learns it.
        known: What may be filtered by.
    """
    parser.add_argument("-f", "--filter", action="append", metavar="KEY=VALUE", help=f"show only what matches: {known}")


def changes(parser: argparse.ArgumentParser) -> None:
    """Add how containers of a new image run."""
    parser.add_argument(
        "-c",
        "--change",
        action="append",
        default=[],
        metavar="INSTRUCTION",
        help="a Dockerfile instruction to apply: 'CMD [\"run\"]', 'ENV A=b', 'USER app' (repeatable)",
    )


def common(parser: argparse.ArgumentParser, *, default: str | None, is_server: bool = False) -> None:
    """Add which store is meant, and how much is told.

    Args:
        parser: Learns them.
        default: Of those that name a place.
        is_server: Whether the command has an address of its own, to listen on or to adopt from.
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
    """Add how what goes on is shown."""
    parser.add_argument(
        "--progress",
        choices=("auto", "plain", "json", "none"),
        default="auto",
        help="how to show progress on stderr",
    )
