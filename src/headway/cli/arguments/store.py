"""The store."""

from __future__ import annotations

import argparse

from headway.cli.arguments.options import Command, authfile, filter_, format_, insecure


def _df(parser: argparse.ArgumentParser) -> None:
    """Show disk usage, as du counts it, and what prune would free."""
    parser.add_argument("-v", "--verbose", action="store_true", help="list every image, layer, container and download")
    format_(parser, "{{.Type}} {{.Size}}")


def _prune(parser: argparse.ArgumentParser) -> None:
    """Remove images without a tag, and data that nothing uses; shows what it will free, and asks first."""
    parser.add_argument("-a", "--all", action="store_true", help="remove every image that no container uses")
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="remove only images that match: until=24h, label=KEY[=VALUE], label!=KEY[=VALUE], dangling=true|false",
    )
    parser.add_argument(
        "--unfinished",
        action="store_true",
        help="remove unfinished downloads, and finished layers of stopped pulls, too",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be removed, and remove nothing")
    parser.add_argument("-f", "--force", action="store_true", help="do not ask for confirmation")


def _check(parser: argparse.ArgumentParser) -> None:
    """Check that what is on disk is complete and unchanged; name what is damaged and the images affected."""
    parser.add_argument("--full", action="store_true", help="read every byte of every layer")
    parser.add_argument("--repair", action="store_true", help="download what is damaged, and only that; asks first")
    parser.add_argument("-f", "--force", action="store_true", help="do not ask for confirmation")
    insecure(parser)
    authfile(parser)
    parser.add_argument("--format", choices=("table", "json"), default="table", help="how to print the result")


def _events(parser: argparse.ArgumentParser) -> None:
    """Show events as they happen, of every process that uses the data root; past ones with --since."""
    when = "Unix seconds, 2026-01-02T03:04:05Z, or how long ago: 1h30m"
    parser.add_argument("--since", metavar="TIME", help=f"show events from then on: {when}")
    parser.add_argument("--until", metavar="TIME", help="stop at this time; a time in the past shows only past events")
    filter_(parser, "type=, event=, image=, container=, label=, daemon=")
    format_(parser, "{{.Action}} {{.Name}}")


def _traffic(parser: argparse.ArgumentParser) -> None:
    """Show how many bytes crossed the network, per day (UTC), registry and image."""
    when = "Unix seconds, 2026-01-02, or how long ago: 30d"
    parser.add_argument("--since", metavar="TIME", help=f"first day to show: {when}")
    parser.add_argument("--until", metavar="TIME", help="last day to show")
    format_(parser, "{{.Day}} {{.Received}}")


COMMANDS = {
    "df": Command(_df, "headway.cli.df", "show disk usage"),
    "prune": Command(_prune, "headway.cli.prune", "remove what nobody uses"),
    "check": Command(_check, "headway.cli.check", "check what is on disk; --repair mends it"),
    "events": Command(_events, "headway.cli.events", "show events"),
    "traffic": Command(_traffic, "headway.cli.traffic", "show network traffic, per day"),
}
