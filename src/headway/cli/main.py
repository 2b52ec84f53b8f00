"""Entry point: from a command line to an exit status."""

from __future__ import annotations

import gc
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from headway.cli.arguments.parser import COMMANDS, build_parser, parse
from headway.cli.failures import DONE, FINAL, INTERRUPTED, USAGE, exit_status, explain, tell, trace
from headway.cli.terminal import make_safe, one_line
from headway.errors import HeadwayError, InvalidSettingError


def run() -> NoReturn:
    """Run the command line of this process, and end it.

    What a command has opened it has closed. Python's own end would take down what start-up made, object by object: a
    sixth of the CPU of `headway images`.
    """
    gc.disable()  # start-up makes tens of thousands of objects that all stay; looking for garbage among them is waste
    make_safe()
    try:
        status = _written(_ended(sys.argv[1:]))
    except KeyboardInterrupt:  # whoever reads is slow, and nobody waits for that any more
        status = INTERRUPTED
    sys.stderr.flush()
    os._exit(status)


def run_daemon() -> NoReturn:
    """Run `headway daemon` by its other name, headwayd."""
    if sys.argv[1:] not in (["--version"], ["-v"]):  # which every program has
        sys.argv.insert(1, "daemon")
    run()


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    options = parse(arguments)
    if options.command is None:
        build_parser().print_help(sys.stderr)
        return USAGE
    command = _load(options.command)
    gc.enable()
    try:
        _check_reach(options)
        return command(options)
    except HeadwayError as error:
        return tell(error, options)
    except BrokenPipeError:
        return FINAL
    except Exception as error:
        from headway.service.bugs import foreseen  # noqa: PLC0415  # hardly ever

        if (shortage := foreseen(error)) is not None:
            return tell(shortage, options)
        if options.debug:
            trace(error)
        print(f"headway: this is a bug in Headway: {type(error).__name__}: {one_line(str(error))}", file=sys.stderr)
        print("next: run it again with -D, and report what it prints", file=sys.stderr)
        return FINAL


def _ended(arguments: Sequence[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as left:  # argparse has printed help, or refused a word
        return int(left.code or DONE)
    except KeyboardInterrupt:
        return INTERRUPTED


def _written(status: int) -> int:
    """Let what was printed on stdout leave, and return the status that comes of it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return status or FINAL
    except HeadwayError as error:
        if status == DONE:  # a command that has failed has told why, and this may be why
            print(explain(error), file=sys.stderr)
        return status or exit_status(error)
    return status


def _check_reach(options: Namespace) -> None:
    """Refuse a daemon for what works on this machine's own data root: it would be another store than was meant.

    Raises:
        InvalidSettingError: One is named.
    """
    is_named = options.host or (os.environ.get("HEADWAY_HOST") and options.data_root is None)
    if COMMANDS[options.command].here_only and is_named:
        where = "run it where the store is, without -H and HEADWAY_HOST"
        raise InvalidSettingError(
            f"{options.command} works on this machine's own data root, not through a daemon: {where}"
        )


def _load(name: str) -> Callable[[object], int]:
    """Import a command.

    msgspec asks for typing_extensions, only to serve Pythons older than ours; that would cost `headway images` a third
    of its start. Kept out of sight meanwhile, it is there for everybody else.
    """
    chosen = COMMANDS[name]
    hidden = name != "daemon" and "typing_extensions" not in sys.modules  # aiohttp cannot do without it
    if hidden:
        sys.modules["typing_extensions"] = None  # type: ignore[assignment]
    try:
        command: Callable[[object], int] = getattr(import_module(chosen.module), chosen.function or name)
    finally:
        if hidden:
            del sys.modules["typing_extensions"]
    return command
