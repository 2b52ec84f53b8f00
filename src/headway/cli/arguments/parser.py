"""The parser of the command line, and the list of commands (docker's words where docker has them)."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NoReturn

from headway.cli.arguments import files, images, pulls, services, store
from headway.cli.arguments.options import Command, common

_DESCRIPTION = "Pulls container images over links that break; a byte that has arrived is never downloaded twice."
_GROUPS = {
    "Images": {**pulls.IMAGES, **images.COMMANDS, **files.COMMANDS},
    "Pulls": pulls.COMMANDS,
    "Store": store.COMMANDS,
    "Daemon and registry": services.COMMANDS,
}
COMMANDS: dict[str, Command] = {name: command for group in _GROUPS.values() for name, command in group.items()}
ALIASES = {"ls": "images", "rm": "rmi", "ps": "pulls"}
_MORE = "Aliases: ls = images, rm = rmi, ps = pulls, image X = X.   More: headway COMMAND --help"


_UNKNOWN = re.compile(r"argument COMMAND: invalid choice: '(.*?)'")


class _Help(argparse.HelpFormatter):
    """Knows how wide the terminal is: argparse asks shutil, for each option, and that brings bz2 and lzma with it."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


class _RawHelp(_Help, argparse.RawDescriptionHelpFormatter):
    """The same, with a description that stays as it is."""


def _columns() -> int:
    """Return what `shutil.get_terminal_size` would."""
    with suppress(KeyError, ValueError):
        if (columns := int(os.environ["COLUMNS"])) > 0:
            return columns
    with suppress(OSError, ValueError, AttributeError):
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]  # suppressed
    return 80


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line, with where to read more.

    Attributes:
        chosen: The command, which knows more than the whole.
    """

    chosen = ""

    def error(self, message: str) -> NoReturn:
        """Leave with status 2."""
        instead = f"{self.prog} {self.chosen}".rstrip() + " --help"
        if (wrong := _UNKNOWN.match(message)) is not None:
            message, instead = _unknown(wrong[1], instead)
        self.exit(2, f"headway: {message}\nnext: {instead}\n")


class _CommandParser(Parser):
    """The parser of one command, whose options stand before, behind and between its names, as docker's do."""

    _is_mixing = False

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """See argparse, which mixes only where no command of its own follows, and forgets a ``--`` when it does."""
        nested = any(a.nargs in (argparse.PARSER, argparse.REMAINDER) for a in self._get_positional_actions())
        if self._is_mixing or nested or "--" in (args or ()):
            return super().parse_known_args(args, namespace)
        self._is_mixing = True  # it comes here again for each of its two passes
        return self.parse_known_intermixed_args(args, namespace)


def _unknown(word: str, instead: str) -> tuple[str, str]:
    """Return what is said of a word that is no command, and what to do next: `instead`, unless something is nearer."""
    from headway.cli.arguments.dockers import instead_of  # noqa: PLC0415  # only mistakes pay for it

    if (known := instead_of(word)) is not None:
        return f"there is no command {word!r}: {known[0]}", known[1]
    return f"there is no command {word!r}{_nearest(word)}", instead


def _nearest(word: str) -> str:
    import difflib  # noqa: PLC0415  # only mistakes pay for it

    near = difflib.get_close_matches(word, [*COMMANDS, *ALIASES], n=1)
    return f"; {near[0]} is one" if near else ""


def build_parser(chosen: str = "") -> argparse.ArgumentParser:
    """Return the parser; where a command is chosen it knows only that one, since each costs start-up time."""
    parser = Parser(
        prog="headway",
        description=_DESCRIPTION,
        epilog="\n".join(_listed()),
        add_help=True,
        allow_abbrev=False,
        usage="headway [-H ADDRESS] [--data-root DIR] [--config-file FILE] [-D] COMMAND ...",
        formatter_class=_RawHelp,
    )
    parser.chosen = chosen if chosen in COMMANDS else ""
    common(parser, default=None)
    parser.add_argument("-v", "--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", prog="headway", parser_class=_CommandParser, help=argparse.SUPPRESS
    )
    for name, command in COMMANDS.items():
        if chosen in COMMANDS and name != chosen:
            continue
        words = commands.add_parser(name, description=command.fill.__doc__, allow_abbrev=False, formatter_class=_Help)
        if name == chosen:
            command.fill(words)
            common(words, default=argparse.SUPPRESS, is_server=command.is_server)
    return parser


def _listed() -> Iterator[str]:
    for title, commands in _GROUPS.items():
        yield f"{title}:"
        yield from (f"  {name:<10} {command.summary}" for name, command in commands.items() if command.summary)
        yield ""
    yield _MORE


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the parsed command line; ``image X`` means ``X``, ``help X`` its help, aliases what they stand for."""
    words = list(arguments)
    at = _command_index(words)
    if at is None and not {"--version", "-v"}.isdisjoint(words):
        words, at = ["version"], 0
    if at is not None:
        if words[at] == "image" and at + 1 < len(words) and not words[at + 1].startswith("-"):
            del words[at]
        if words[at] == "help":
            words[at:] = [*words[at + 1 : at + 2], "--help"]
        words[at] = ALIASES.get(words[at], words[at])
        if words[at] == "run":
            words.insert(at + 1, "--")  # what follows is for docker's run, options and all
    return build_parser(words[at] if at is not None else "").parse_args(words)


def _command_index(words: Sequence[str]) -> int | None:
    position = 0
    while position < len(words):
        word = words[position]
        if not word.startswith("-"):
            return position
        position += 2 if word in ("-H", "--host", "--data-root", "--config-file") else 1
    return None
