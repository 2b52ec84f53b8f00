"""The command line: its words, in docker's order where docker has them (interface.md)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

_DESCRIPTION = "Pulls container images over links that break, and never fetches a byte twice that has arrived."
_GROUPS = """\
Images:
  pull       bring images, over any link           tag        give an image one more name
  push       bring an image to its registry        rmi        remove names and images
  images     list images
  inspect    everything known of an image          unpack     write its root file system into a directory
  history    its steps                             bundle     write an OCI bundle that runc and crun start
  mount      show its files at a place             umount     show them no more
  save       write images into an archive          load       bring in the images of an archive
  commit     make an image of a container          import     make an image of a root file system's archive
                                                   export     write a container's files into an archive
  adopt      take over Docker's images
  outdated   which tags have moved on

Pulls:
  pulls      what is being pulled; pause, resume, cancel, and who goes first

Store:
  df         what takes up how much                prune      make room: what nobody uses goes
  events     what happened, and what happens      check      is it all here, and what it was? --repair mends it
  traffic    what crossed the network, by day

Daemon and registries:
  daemon     serve docker and others           login      log in to a registry
  context    how docker finds the daemon       logout     forget that login
  doctor     why pulls fail or cost too much

Other:
  version    which Headway this is             completion for bash, zsh and fish

Aliases: ls = images, rm = rmi, ps = pulls, image X = X.   More: headway COMMAND --help
"""
ALIASES = {"ls": "images", "rm": "rmi", "ps": "pulls"}
_NAME = "NAME[:TAG|@DIGEST]"
_SERVER = "HOST[:PORT]"


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line, with where to read more."""

    def error(self, message: str) -> NoReturn:
        """Leave with status 2."""
        self.exit(2, f"headway: {message}\nnext: {self.prog} --help\n")


def build_parser(chosen: str = "") -> argparse.ArgumentParser:
    """Return the parser; only the chosen command learns its arguments, since each costs start-up time."""
    parser = Parser(
        prog="headway",
        description=_DESCRIPTION,
        epilog=_GROUPS,
        add_help=True,
        allow_abbrev=False,
        usage="headway [-H ADDRESS] [--data-root DIR] [--config-file FILE] [-D] COMMAND ...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _common(parser, default=None)
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", prog="headway", parser_class=Parser, help=argparse.SUPPRESS
    )
    for name, fill in _COMMANDS.items():
        command = commands.add_parser(name, description=fill.__doc__, help=fill.__doc__, allow_abbrev=False)
        if name != chosen:
            continue
        fill(command)
        _common(command, default=argparse.SUPPRESS, is_server=name in ("daemon", "adopt"))
    return parser


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the parsed command line; docker's ``image X`` means ``X``, and aliases mean what they stand for."""
    words = list(arguments)
    at = _command_index(words)
    if at is not None:
        if words[at] == "image" and at + 1 < len(words) and not words[at + 1].startswith("-"):
            del words[at]
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


def _common(parser: argparse.ArgumentParser, *, default: str | None, is_server: bool = False) -> None:
    if not is_server:  # which has an address of its own, to listen on or to adopt from
        parser.add_argument(
            "-H", "--host", metavar="ADDRESS", default=default, help="ask this daemon: unix:///PATH, tcp://HOST:PORT"
        )
    parser.add_argument("--data-root", type=Path, metavar="DIR", default=default, help="where everything is kept")
    parser.add_argument(
        "--config-file",
        type=Path,
        metavar="FILE",
        default=default,
        help="settings (default: /etc/headway/daemon.json)",
    )
    parser.add_argument("-D", "--debug", action="store_true", default=default or None, help="show tracebacks")


def _pull(parser: argparse.ArgumentParser) -> None:
    """Bring images, complete and verified; what has arrived is never fetched again."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("names", nargs="*", default=[], metavar=_NAME)
    which.add_argument(
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
    _insecure(parser)
    _authfile(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print only the full name of each image")
    parser.add_argument(
        "--progress",
        choices=("auto", "plain", "json", "none"),
        default="auto",
        help="how to show what is going on, on stderr",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table", help="of what --dry-run says")


def _outdated(parser: argparse.ArgumentParser) -> None:
    """Tell which tags stand for another image at their registry by now; nothing is downloaded."""
    parser.add_argument("names", nargs="*", metavar=_NAME, help="default: every image with a tag")
    _insecure(parser)
    _authfile(parser)
    _format(parser)


def _pulls(parser: argparse.ArgumentParser) -> None:
    """List pulls, those under way unless -a is given; show some; or change them."""
    actions = ("show", "pause", "resume", "cancel", "priority")
    parser.add_argument("action", nargs="?", choices=actions, help="what to do with pulls (default: list them)")
    parser.add_argument("ids", nargs="*", metavar="ID", help="beginnings are enough; the priority stands behind them")
    parser.add_argument("-a", "--all", action="store_true", help="those too that have ended")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only IDs")
    _authfile(parser)
    _format(parser)


def _push(parser: argparse.ArgumentParser) -> None:
    """Bring an image to its registry; what the registry has is not sent again."""
    parser.add_argument("name", metavar="NAME[:TAG]")
    parser.add_argument("-a", "--all-tags", action="store_true", help="every tag of the repository that is here")
    parser.add_argument("--platform", metavar="P", help="only this platform's manifest: linux/arm64, or arm64")
    _insecure(parser)
    _authfile(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print only the full name of each tag")
    parser.add_argument(
        "--progress",
        choices=("auto", "plain", "json", "none"),
        default="auto",
        help="how to show what is going on, on stderr",
    )


def _images(parser: argparse.ArgumentParser) -> None:
    """List images, newest first."""
    parser.add_argument(
        "name", nargs="?", metavar="NAME[:TAG]", help="only this repository, or this name; * and ? stand for others"
    )
    _filter(parser, "dangling=true, label=KEY[=VALUE], before=IMAGE, since=IMAGE, reference=PATTERN, until=TIME")
    parser.add_argument("-a", "--all", action="store_true", help="those too that others were made from")
    parser.add_argument("--digests", action="store_true", help="show digests")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only IDs")
    parser.add_argument("--no-trunc", action="store_true", help="show IDs in full")
    _format(parser)


def _inspect(parser: argparse.ArgumentParser) -> None:
    """Show everything known of images, as JSON."""
    parser.add_argument("names", nargs="+", metavar="NAME|ID")


def _history(parser: argparse.ArgumentParser) -> None:
    """Show the steps of an image, newest first."""
    parser.add_argument("name", metavar="NAME|ID")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only IDs")
    parser.add_argument("--no-trunc", action="store_true", help="show everything in full")
    _format(parser)


def _tag(parser: argparse.ArgumentParser) -> None:
    """Give an image one more name."""
    parser.add_argument("source", metavar="SRC")
    parser.add_argument("target", metavar="DST")


def _rmi(parser: argparse.ArgumentParser) -> None:
    """Remove names, and images with their last one."""
    parser.add_argument("names", nargs="+", metavar="NAME|ID")
    parser.add_argument(
        "-f",
        "--force",
        action="store_true",
        help="even if it has names in several repositories, or a container uses it",
    )
    parser.add_argument("--no-prune", action="store_true", help="keep what the image was made from")


def _unpack(parser: argparse.ArgumentParser) -> None:
    """Write an image's root file system into a directory."""
    parser.add_argument("name", metavar="NAME|ID")
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--force", action="store_true", help="even if DIR is not empty")


def _bundle(parser: argparse.ArgumentParser) -> None:
    """Write an OCI runtime bundle: config.json and rootfs, as runc and crun start them."""
    parser.add_argument("name", metavar="NAME|ID")
    parser.add_argument("directory", type=Path, metavar="DIR")


def _save(parser: argparse.ArgumentParser) -> None:
    """Write images into one archive, which docker, podman, skopeo, containerd and Headway load."""
    parser.add_argument("names", nargs="+", metavar="NAME|ID")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to (default: stdout)")
    parser.add_argument("--platform", metavar="P", help="what each image must be for, such as linux/arm64")


def _load(parser: argparse.ArgumentParser) -> None:
    """Bring in the images of an archive: docker-archive or OCI layout, compressed or not."""
    parser.add_argument("-i", "--input", type=Path, metavar="FILE|DIR", help="the archive (default: stdin)")
    parser.add_argument("--platform", metavar="P", help="which one of images for several (default: this machine's)")
    parser.add_argument("-q", "--quiet", action="store_true", help="do not show which layers come by")


def _adopt(parser: argparse.ArgumentParser) -> None:
    """Take over the images of another engine on this machine, one by one, with names and digests."""
    engines = parser.add_subparsers(dest="engine", metavar="ENGINE", required=True)
    docker = engines.add_parser("docker", description=_adopt.__doc__, help="Docker", allow_abbrev=False)
    docker.add_argument("names", nargs="*", metavar="NAME|ID", help="which ones (default: all)")
    docker.add_argument(
        "-H",
        "--host",
        dest="docker_host",
        metavar="ADDRESS",
        help="where Docker listens (default: DOCKER_HOST, or unix:///var/run/docker.sock)",
    )
    _common(docker, default=argparse.SUPPRESS, is_server=True)


def _mount(parser: argparse.ArgumentParser) -> None:
    """Mount an image read-only, or a container, and print where; without a name, list what is mounted."""
    parser.add_argument("name", nargs="?", metavar="NAME|ID", help="an image, or a container")
    parser.add_argument(
        "directory", nargs="?", type=Path, metavar="DIR", help="an empty directory (default: one below the data root)"
    )
    parser.add_argument("--read-write", action="store_true", help="make a container of the image, which can be written")
    _format(parser)


def _umount(parser: argparse.ArgumentParser) -> None:
    """Unmount what was mounted by headway mount."""
    parser.add_argument("names", nargs="+", metavar="NAME|ID|DIR")
    parser.add_argument("--rm", action="store_true", help="remove containers, with what was written in them")


def _login(parser: argparse.ArgumentParser) -> None:
    """Log in to a registry: what it accepts is saved where docker saves it, or in a credential helper."""
    parser.add_argument("server", nargs="?", metavar=_SERVER, help="the registry (default: Docker Hub)")
    parser.add_argument("-u", "--username", metavar="USER")
    parser.add_argument("--password-stdin", action="store_true", help="read the password from stdin")
    parser.add_argument("-p", "--password", help=argparse.SUPPRESS)
    _insecure(parser)
    _authfile(parser)


def _logout(parser: argparse.ArgumentParser) -> None:
    """Forget the login at a registry."""
    parser.add_argument("server", nargs="?", metavar=_SERVER, help="the registry (default: Docker Hub)")
    _authfile(parser)


def _insecure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--insecure-registry",
        action="append",
        metavar="HOST[:PORT]|CIDR",
        help="may be asked without verified TLS",
    )


def _authfile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--authfile", type=Path, metavar="FILE", help="logins (default: those of docker, then those of podman)"
    )


def _df(parser: argparse.ArgumentParser) -> None:
    """Show what takes up how much, as du counts it, and what a prune would free."""
    parser.add_argument("-v", "--verbose", action="store_true", help="image by image, layer by layer")
    _format(parser)


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
    _insecure(parser)
    _authfile(parser)
    parser.add_argument("--format", choices=("table", "json"), default="table")


def _traffic(parser: argparse.ArgumentParser) -> None:
    """Show how many bytes crossed the network, by day (UTC), registry and image."""
    when = "Unix seconds, 2026-01-02, or how long ago: 30d"
    parser.add_argument("--since", metavar="TIME", help=f"from that day on: {when}")
    parser.add_argument("--until", metavar="TIME", help="up to that day")
    _format(parser)


def _import(parser: argparse.ArgumentParser) -> None:
    """Make an image of a root file system's archive, and print its ID."""
    parser.add_argument("source", metavar="FILE|URL|-", help="a tar, compressed in any way; - reads stdin")
    parser.add_argument("name", nargs="?", metavar="NAME[:TAG]", help="what to call it")
    _changes(parser)
    parser.add_argument("-m", "--message", default="", metavar="TEXT", help="its comment")
    parser.add_argument("--platform", metavar="P", help="what it is for, such as linux/arm64 (default: this machine)")


def _export(parser: argparse.ArgumentParser) -> None:
    """Write a container's files into an archive."""
    parser.add_argument("container", metavar="CONTAINER")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there, and not to stdout")


def _commit(parser: argparse.ArgumentParser) -> None:
    """Make an image of what a container has changed, and print its ID."""
    parser.add_argument("container", metavar="CONTAINER")
    parser.add_argument("name", nargs="?", metavar="NAME[:TAG]", help="what to call it")
    parser.add_argument("-a", "--author", default="", metavar="WHO", help="who makes it")
    _changes(parser)
    parser.add_argument("-m", "--message", default="", metavar="TEXT", help="why")


def _changes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--change",
        action="append",
        default=[],
        metavar="INSTRUCTION",
        help="how its containers run, as a Dockerfile says it: 'CMD [\"run\"]', 'ENV A=b', 'USER app'",
    )


def _daemon(parser: argparse.ArgumentParser) -> None:
    """Serve the Docker Engine API: images, and what they need of containers."""
    from headway.cli.daemon_arguments import fill  # noqa: PLC0415  # nobody else needs its thirty flags

    fill(parser)


def _context(parser: argparse.ArgumentParser) -> None:
    """Print the command that lets docker find the daemon by a context."""


def _doctor(parser: argparse.ArgumentParser) -> None:
    """Find out why pulls fail or cost more than they must: here, on the way, at the registry."""
    parser.add_argument("target", nargs="?", metavar="REGISTRY|NAME", help="a registry, or an image at one")
    parser.add_argument("--rate", action="store_true", help="measure how fast bytes come, too; costs 256 kB")
    parser.add_argument("--registry-mirror", action="append", metavar="URL", help="examine this one for docker.io too")
    _insecure(parser)
    _authfile(parser)
    parser.add_argument("--format", choices=("table", "json"), default="table")


def _completion(parser: argparse.ArgumentParser) -> None:
    """Print what lets a shell complete the command line."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def _version(parser: argparse.ArgumentParser) -> None:
    """Print which Headway this is."""
    _format(parser)


def _run(parser: argparse.ArgumentParser) -> None:
    """Headway keeps images and does not run them; this says what does."""
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...")


def _events(parser: argparse.ArgumentParser) -> None:
    """Show what happened since a moment, and then what happens, by whatever process."""
    when = "Unix seconds, 2026-01-02T03:04:05Z, or how long ago: 1h30m"
    parser.add_argument("--since", metavar="TIME", help=f"begin there: {when}")
    parser.add_argument("--until", metavar="TIME", help="end there; what is past ends at once")
    _filter(parser, "type=, event=, image=, container=, label=, daemon=")
    _format(parser)


def _filter(parser: argparse.ArgumentParser, known: str) -> None:
    parser.add_argument("-f", "--filter", action="append", metavar="KEY=VALUE", help=known)


def _format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format",
        default="table",
        metavar="table|json|TEMPLATE",
        help="a template names fields: '{{.ID}} {{.Size}}'",
    )


_COMMANDS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "pull": _pull,
    "pulls": _pulls,
    "push": _push,
    "outdated": _outdated,
    "images": _images,
    "inspect": _inspect,
    "history": _history,
    "tag": _tag,
    "rmi": _rmi,
    "unpack": _unpack,
    "bundle": _bundle,
    "save": _save,
    "load": _load,
    "import": _import,
    "export": _export,
    "commit": _commit,
    "adopt": _adopt,
    "mount": _mount,
    "umount": _umount,
    "login": _login,
    "logout": _logout,
    "df": _df,
    "prune": _prune,
    "events": _events,
    "check": _check,
    "traffic": _traffic,
    "daemon": _daemon,
    "context": _context,
    "completion": _completion,
    "doctor": _doctor,
    "version": _version,
    "run": _run,
}
