"""The store."""

from __future__ import annotations

import argparse

from headway.cli.arguments.options import Command, authfile, filter_, format_, insecure


def _df(parser: argparse.ArgumentParser) -> None:
    """Show what takes up how much, as du counts it, and what a prune would free."""
    parser.add_argument("-v", "--verbose", action="store_true", help="image by image, layer by layer")
    format_(parser, "{{.Type}} {{.Size}}")


def _prune(parser: argparse.ArgumentParser) -> None:
    """Remove images without a tag, and everything that nothing needs; it says what it will free, and asks."""
    parser.add_argument("-a", "--all", action="store_true", help="every image that no container uses")
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only some images: until=24h, label=KEY[=VALUE], label!=KEY[=VALUE], dangling=true|false",
    )
    parser.add_argument(
        "--unfinished", action="store_true", help="unfinished downloads too, and what stopped pulls have finished"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and remove nothing")
    parser.add_argument("-f", "--force", action="store_true", help="do not ask")


def _check(parser: argparse.ArgumentParser) -> None:
    """Compare what is recorded with what is on disk; damage is named, with the images it hurts."""
    parser.add_argument("--full", action="store_true", help="read every byte of every layer")
    parser.add_argument("--repair", action="store_true", help="fetch what is broken, and only that; it asks before")
    parser.add_argument("-f", "--force", action="store_true", help="do not ask")
    insecure(parser)
    authfile(parser)
    parser.add_argument("--format", choices=("table", "json"), default="table", help="for people, or for programs")


def _events(parser: argparse.ArgumentParser) -> None:
    """Show what happened since a moment, and then what happens, by whatever process."""
    when = "Unix seconds, 2026-01-02T03:04:05Z, or how long ago: 1h30m"
    parser.add_argument("--since", metavar="TIME", help=f"begin there: {when}")
    parser.add_argument("--until", metavar="TIME", help="end there; what is past ends at once")
    filter_(parser, "type=, event=, image=, container=, label=, daemon=")
    format_(parser, "{{.Action}} {{.Name}}")


def _traffic(parser: argparse.ArgumentParser) -> None:
    """Show how many bytes crossed the network, by day (UTC), registry and image."""
    when = "Unix seconds, 2026-01-02, or how long ago: 30d"
    parser.add_argument("--since", metavar="TIME", help=f"from that day on: {when}")
    parser.add_argument("--until", metavar="TIME", help="up to that day")
    format_(parser, "{{.Day}} {{.Received}}")


COMMANDS = {
    "df": Command(_df, "headway.cli.df", "what takes up how much"),
    "prune": Command(_prune, "headway.cli.prune", "make room: what nobody uses goes"),
    "check": Command(_check, "headway.cli.check", "is it all here, and what it was? --repair mends it"),
    "events": Command(_events, "headway.cli.events", "what happened, and what happens"),
    "traffic": Command(_traffic, "headway.cli.traffic", "what crossed the network, by day"),
}
