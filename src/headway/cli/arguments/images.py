"""Images: what is here, by its names."""

from __future__ import annotations

import argparse

from headway.cli.arguments.options import ONE, SEVERAL, Command, filter_, format_


def _images(parser: argparse.ArgumentParser) -> None:
    """List images, newest first."""
    parser.add_argument(
        "name", nargs="?", metavar="NAME[:TAG]", help="list only this repository or name; * and ? match as in a shell"
    )
    filter_(parser, "dangling=true, label=KEY[=VALUE], before=IMAGE, since=IMAGE, reference=PATTERN, until=TIME")
    parser.add_argument(
        "-a", "--all", action="store_true", help="list images that only serve as parents of others, too"
    )
    parser.add_argument("--digests", action="store_true", help="show digests")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only IDs")
    parser.add_argument("--no-trunc", action="store_true", help="show IDs in full")
    format_(parser, "{{.ID}} {{.Size}}")


def _inspect(parser: argparse.ArgumentParser) -> None:
    """Show all details of images, as JSON."""
    parser.add_argument("names", nargs="+", metavar="NAME|ID", help=SEVERAL)
    parser.add_argument(
        "-f",
        "--format",
        type=lambda text: text or "json",  # as in `format_`
        default="json",
        metavar="json|TEMPLATE",
        help="JSON, or a template of fields such as '{{.Id}}', '{{.Config.Cmd}}', '{{json .RepoTags}}'",
    )


def _history(parser: argparse.ArgumentParser) -> None:
    """Show the steps an image was built in, newest first."""
    parser.add_argument("name", metavar="NAME|ID", help=ONE)
    parser.add_argument("-q", "--quiet", action="store_true", help="print only IDs")
    parser.add_argument("--no-trunc", action="store_true", help="do not shorten anything")
    format_(parser, "{{.CreatedBy}} {{.Size}}")


def _tag(parser: argparse.ArgumentParser) -> None:
    """Give an image an additional name."""
    parser.add_argument("source", metavar="SRC", help=ONE)
    parser.add_argument("target", metavar="DST", help="the additional name: NAME[:TAG]")


def _rmi(parser: argparse.ArgumentParser) -> None:
    """Remove names; an image goes with its last name."""
    parser.add_argument("names", nargs="+", metavar="NAME|ID", help=SEVERAL)
    parser.add_argument(
        "-f",
        "--force",
        action="store_true",
        help="remove even if the image has names in several repositories, or a container uses it",
    )
    parser.add_argument("--no-prune", action="store_true", help="keep untagged parents of the image")


COMMANDS = {
    "images": Command(_images, "headway.cli.images", "list images"),
    "inspect": Command(_inspect, "headway.cli.inspect", "show all details of an image"),
    "history": Command(_history, "headway.cli.images", "show how an image was built"),
    "tag": Command(_tag, "headway.cli.names", "give an image an additional name"),
    "rmi": Command(_rmi, "headway.cli.names", "remove names and images"),
}
