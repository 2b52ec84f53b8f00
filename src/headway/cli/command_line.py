"""The command line as data: every command with its options, for completions and the manual page.

Rule: everything is read from the parser, so that no option is written down twice.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import msgspec

from headway.cli.arguments.parser import ALIASES, build_parser


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One option.

    Attributes:
        names: Short and long ones.
        value: The placeholder for its value; empty if it takes none.
        choices: The values that it takes; empty if it takes any.
        help: One line.
    """

    names: tuple[str, ...]
    value: str
    choices: tuple[str, ...]
    help: str


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One command.

    Attributes:
        name: Its name.
        aliases: Its other names.
        help: One line.
        usage: The usage line of its help.
        options: All its options, and those of the words that its first argument can be (``adopt docker``).
        places: Its arguments, in the words of the usage line, such as ``NAME[:TAG|@DIGEST]``.
        choices: The words that its first argument can be; empty if it takes any.
    """

    name: str
    aliases: tuple[str, ...]
    help: str
    usage: str
    options: tuple[Option, ...]
    places: tuple[str, ...]
    choices: tuple[str, ...]


def commands() -> list[Command]:
    """Return every command, in the order of the help."""
    return [_command(name) for name in _subparsers(build_parser())]


def _command(name: str) -> Command:
    parser = _subparsers(build_parser(name))[name]
    actions = [action for action in parser._actions if action.help != argparse.SUPPRESS]  # noqa: SLF001  # no public way
    places = [action for action in actions if not action.option_strings]
    return Command(
        name=name,
        aliases=tuple(alias for alias, target in ALIASES.items() if target == name),
        help=parser.description or "",
        usage=" ".join(parser.format_usage().removeprefix("usage:").split()),
        options=tuple({option.names: option for option in _options(parser)}.values()),
        places=tuple(str(action.metavar or action.dest) for action in places),
        choices=tuple(str(choice) for action in places[:1] for choice in action.choices or ()),
    )


def _options(parser: argparse.ArgumentParser) -> Iterator[Option]:
    for action in parser._actions:  # noqa: SLF001  # as above
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # as above
            for inner in action.choices.values():
                yield from _options(inner)
        elif action.option_strings and action.help != argparse.SUPPRESS:
            yield _option(action)


def _option(action: argparse.Action) -> Option:
    takes_value = action.nargs != 0
    return Option(
        names=tuple(action.option_strings),
        value=str(action.metavar or action.dest.upper()) if takes_value else "",
        choices=tuple(str(choice) for choice in action.choices or ()),
        help=(action.help or "").replace("%%", "%"),
    )


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (found,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001  # as above
    subparsers: dict[str, argparse.ArgumentParser] = found.choices
    return subparsers
