"""What goes on between here and registries."""

from __future__ import annotations

import argparse

from headway.cli.arguments.options import NAME, Command, authfile, format_, insecure, progress


def _pull(parser: argparse.ArgumentParser) -> None:
    """Download images, complete and verified; what has arrived is never downloaded again."""
    parser.add_argument(
        "names", nargs="*", default=[], metavar=NAME, help="images; docker.io and :latest are the defaults"
    )
    parser.add_argument(
        "--all-outdated", action="store_true", help="pull every local image whose tag has changed at its registry"
    )
    parser.add_argument(
        "-a", "--all-tags", action="store_true", help="pull every tag of each repository, one after the other"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what the pull would download and how much disk it would take"
    )
    parser.add_argument(
        "--max-bytes",
        metavar="SIZE",
        help="download no more than this in total, such as 50M; a pull that cannot fit does not start",
    )
    parser.add_argument(
        "--detach",
        action="store_true",
        help="leave the pull to the daemon and print its ID; it survives outages and restarts",
    )
    parser.add_argument(
        "--priority",
        default="normal",
        metavar="P",
        help="low, normal, high or a number; in a daemon, pulls of lower priority wait",
    )
    parser.add_argument("--platform", metavar="P", help="such as linux/arm64 or arm64 (default: this machine's)")
    parser.add_argument(
        "--max-download-attempts",
        type=int,
        metavar="N",
        help="give up only after N attempts in a row without a new byte (default: 5)",
    )
    patience = parser.add_mutually_exclusive_group()
    patience.add_argument(
        "--download-patience",
        metavar="DUR",
        help="give up only after this long without a new byte: 90s, forever (default: 10m, or 0 if attempts are set)",
    )
    patience.add_argument(
        "--wait", action="store_true", help="never give up waiting for the network; same as --download-patience forever"
    )
    parser.add_argument(
        "--limit-rate", metavar="RATE", help="download at most this many bytes per second in total, such as 500k or 2M"
    )
    parser.add_argument(
        "--unfinished-max-age",
        metavar="DUR",
        help="delete other unfinished downloads that got no new byte for this long, such as 30d (default: never)",
    )
    parser.add_argument(
        "--unfinished-max-size",
        metavar="SIZE",
        help="delete the oldest other unfinished downloads beyond this total, such as 2G (default: no limit)",
    )
    parser.add_argument(
        "--registry-mirror", action="append", metavar="URL", help="a mirror of docker.io to try first (repeatable)"
    )
    insecure(parser)
    authfile(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print only the full name of each image")
    progress(parser)
    parser.add_argument("--format", choices=("table", "json"), default="table", help="how to print the result")


def _pulls(parser: argparse.ArgumentParser) -> None:
    """List the pulls that have not ended, show details of pulls, or change them."""
    actions = ("show", "pause", "resume", "cancel", "priority")
    parser.add_argument("action", nargs="?", choices=actions, help="what to do (default: list)")
    parser.add_argument(
        "ids",
        nargs="*",
        metavar="ID",
        help="pulls, by the first characters of their IDs; for priority, the new one comes last",
    )
    parser.add_argument("-a", "--all", action="store_true", help="list pulls that have ended, too")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only IDs")
    authfile(parser)
    format_(parser, "{{.ID}} {{.State}}")


def _push(parser: argparse.ArgumentParser) -> None:
    """Upload an image to its registry; layers that the registry has are not sent again."""
    parser.add_argument("name", metavar="NAME[:TAG]", help="the name says which registry; headway tag adds such a name")
    parser.add_argument("-a", "--all-tags", action="store_true", help="push every local tag of the repository")
    parser.add_argument("--platform", metavar="P", help="push only this platform of the image: linux/arm64 or arm64")
    insecure(parser)
    authfile(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print only the full name of each tag")
    progress(parser)


def _outdated(parser: argparse.ArgumentParser) -> None:
    """Show which tags have changed at their registry; nothing is downloaded."""
    parser.add_argument("names", nargs="*", metavar=NAME, help="names to ask about (default: every local tag)")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only the names of outdated images")
    parser.add_argument("--no-trunc", action="store_true", help="show digests in full")
    insecure(parser)
    authfile(parser)
    format_(parser, "{{.Reference}} {{.State}}")


IMAGES = {
    "pull": Command(_pull, "headway.cli.pull", "download images, over any link"),
    "push": Command(_push, "headway.cli.push", "upload an image to its registry"),
    "outdated": Command(_outdated, "headway.cli.outdated", "show which tags have changed at their registry"),
}
COMMANDS = {
    "pulls": Command(_pulls, "headway.cli.pulls", "list pulls; pause, resume, cancel or prioritise them"),
}
