"""What goes on between here and registries."""

from __future__ import annotations

import argparse

from headway.cli.arguments.options import NAME, Command, authfile, format_, insecure, progress


def _pull(parser: argparse.ArgumentParser) -> None:
    """Bring images, complete and verified; what has arrived is never fetched again."""
    parser.add_argument(
        "names", nargs="*", default=[], metavar=NAME, help="docker.io and :latest unless it says otherwise"
    )
    parser.add_argument(
        "--all-outdated", action="store_true", help="every image here whose tag stands for another one by now"
    )
    parser.add_argument("-a", "--all-tags", action="store_true", help="every tag of each repository, one by one")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would cross the network and what the disk would take"
    )
    parser.add_argument(
        "--max-bytes", metavar="SIZE", help="receive no more than this in all: 50M; refused before it begins if it can"
    )
    parser.add_argument(
        "--detach", action="store_true", help="let the daemon go on by itself, whatever happens; print the pull's ID"
    )
    parser.add_argument(
        "--priority", default="normal", metavar="P", help="low, normal, high or a number; a daemon's lower ones wait"
    )
    parser.add_argument("--platform", metavar="P", help="such as linux/arm64, or arm64")
    parser.add_argument(
        "--max-download-attempts",
        type=int,
        metavar="N",
        help="give up after N attempts in a row without a new byte (default: 5)",
    )
    patience = parser.add_mutually_exclusive_group()
    patience.add_argument(
        "--download-patience",
        metavar="DUR",
        help="how long to wait for a new byte once the attempts are used up: 90s, 10m, forever (default: 10m)",
    )
    patience.add_argument("--wait", action="store_true", help="wait for the link for ever")
    parser.add_argument(
        "--limit-rate", metavar="RATE", help="receive no more than this a second, all layers together: 500k, 2M"
    )
    parser.add_argument(
        "--unfinished-max-age",
        metavar="DUR",
        help="drop other unfinished downloads that got no byte for so long: 30d (default: forever)",
    )
    parser.add_argument(
        "--unfinished-max-size",
        metavar="SIZE",
        help="drop the oldest other unfinished downloads beyond so many bytes: 2G (default: no limit)",
    )
    parser.add_argument("--registry-mirror", action="append", metavar="URL", help="ask here first for docker.io")
    insecure(parser)
    authfile(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print only the full name of each image")
    progress(parser)
    parser.add_argument("--format", choices=("table", "json"), default="table", help="for people, or for programs")


def _pulls(parser: argparse.ArgumentParser) -> None:
    """List pulls, those under way unless -a is given; show some; or change them."""
    actions = ("show", "pause", "resume", "cancel", "priority")
    parser.add_argument("action", nargs="?", choices=actions, help="what to do with pulls (default: list them)")
    parser.add_argument("ids", nargs="*", metavar="ID", help="beginnings are enough; the priority stands behind them")
    parser.add_argument("-a", "--all", action="store_true", help="those too that have ended")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only IDs")
    authfile(parser)
    format_(parser, "{{.ID}} {{.State}}")


def _push(parser: argparse.ArgumentParser) -> None:
    """Bring an image to its registry; what the registry has is not sent again."""
    parser.add_argument(
        "name", metavar="NAME[:TAG]", help="its registry is a part of the name: headway tag gives it one"
    )
    parser.add_argument("-a", "--all-tags", action="store_true", help="every tag of the repository that is here")
    parser.add_argument("--platform", metavar="P", help="only this platform's manifest: linux/arm64, or arm64")
    insecure(parser)
    authfile(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print only the full name of each tag")
    progress(parser)


def _outdated(parser: argparse.ArgumentParser) -> None:
    """Tell which tags stand for another image at their registry by now; nothing is downloaded."""
    parser.add_argument("names", nargs="*", metavar=NAME, help="default: every image with a tag")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only the names that are outdated")
    parser.add_argument("--no-trunc", action="store_true", help="show digests in full")
    insecure(parser)
    authfile(parser)
    format_(parser, "{{.Reference}} {{.State}}")


IMAGES = {
    "pull": Command(_pull, "headway.cli.pull", "bring images, over any link"),
    "push": Command(_push, "headway.cli.push", "bring an image to its registry"),
    "outdated": Command(_outdated, "headway.cli.outdated", "which tags have moved on"),
}
COMMANDS = {
    "pulls": Command(_pulls, "headway.cli.pulls", "what is being pulled; pause, resume, cancel, and who goes first"),
}
