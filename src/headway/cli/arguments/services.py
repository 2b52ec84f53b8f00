"""The daemon, registries, and the program itself."""

from __future__ import annotations

import argparse

from headway.cli.arguments.options import SERVER, Command, authfile, format_, insecure


def _daemon(parser: argparse.ArgumentParser) -> None:
    """Serve the Docker Engine API: images, and what they need of containers."""
    from headway.cli.daemon_arguments import fill  # noqa: PLC0415  # nobody else needs its thirty flags

    fill(parser)


def _context(parser: argparse.ArgumentParser) -> None:
    """Print the command that lets docker find the daemon by a context."""


def _login(parser: argparse.ArgumentParser) -> None:
    """Log in to a registry: what it accepts is saved where docker saves it, or in a credential helper."""
    parser.add_argument("server", nargs="?", metavar=SERVER, help="the registry (default: Docker Hub)")
    parser.add_argument("-u", "--username", metavar="USER", help="who logs in; asked for on a terminal")
    parser.add_argument("--password-stdin", action="store_true", help="read the password from stdin")
    parser.add_argument("-p", "--password", help=argparse.SUPPRESS)
    insecure(parser)
    authfile(parser)


def _logout(parser: argparse.ArgumentParser) -> None:
    """Forget the login at a registry."""
    parser.add_argument("server", nargs="?", metavar=SERVER, help="the registry (default: Docker Hub)")
    authfile(parser)


def _doctor(parser: argparse.ArgumentParser) -> None:
    """Find out why pulls fail or cost more than they must: here, on the way, at the registry."""
    parser.add_argument("target", nargs="?", metavar="REGISTRY|NAME", help="a registry, or an image at one")
    parser.add_argument("--rate", action="store_true", help="measure how fast bytes come, too; costs 256 kB")
    parser.add_argument("--registry-mirror", action="append", metavar="URL", help="examine this one for docker.io too")
    insecure(parser)
    authfile(parser)
    parser.add_argument("--format", choices=("table", "json"), default="table", help="for people, or for programs")


def _version(parser: argparse.ArgumentParser) -> None:
    """Print which Headway this is."""
    format_(parser, "{{.Version}}")


def _completion(parser: argparse.ArgumentParser) -> None:
    """Print what lets a shell complete the command line."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="whose command line it is")


def _run(parser: argparse.ArgumentParser) -> None:
    """Headway keeps images and does not run them; this says what does."""
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...")


COMMANDS = {
    "daemon": Command(_daemon, "headway.cli.daemon", "serve docker and others", is_server=True),
    "context": Command(_context, "headway.cli.context", "how docker finds the daemon"),
    "login": Command(_login, "headway.cli.login", "log in to a registry"),
    "logout": Command(_logout, "headway.cli.login", "forget that login"),
    "doctor": Command(_doctor, "headway.cli.doctor", "why pulls fail or cost too much"),
    "version": Command(_version, "headway.cli.version", "which Headway this is"),
    "completion": Command(_completion, "headway.cli.completion", "for bash, zsh and fish"),
    "run": Command(_run, "headway.cli.version", ""),
}
