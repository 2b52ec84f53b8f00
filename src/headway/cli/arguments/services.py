"""The daemon, registries, and the program itself."""

from __future__ import annotations

import argparse

from headway.cli.arguments.options import SERVER, Command, authfile, format_, insecure


def _daemon(parser: argparse.ArgumentParser) -> None:
    """Serve the Docker Engine API for images (containers are kept, but not run)."""
    from headway.cli.daemon_arguments import fill  # noqa: PLC0415  # nobody else needs its thirty flags

    fill(parser)


def _context(parser: argparse.ArgumentParser) -> None:
    """Print the command that creates a docker context for the daemon."""


def _login(parser: argparse.ArgumentParser) -> None:
    """Log in to a registry; the login is saved in docker's file, or in its credential helper."""
    parser.add_argument("server", nargs="?", metavar=SERVER, help="the registry (default: Docker Hub)")
    parser.add_argument("-u", "--username", metavar="USER", help="the user name (default: ask for it)")
    parser.add_argument("--password-stdin", action="store_true", help="read the password from stdin")
    parser.add_argument("-p", "--password", help=argparse.SUPPRESS)
    insecure(parser)
    authfile(parser)


def _logout(parser: argparse.ArgumentParser) -> None:
    """Remove the saved login of a registry."""
    parser.add_argument("server", nargs="?", metavar=SERVER, help="the registry (default: Docker Hub)")
    authfile(parser)


def _doctor(parser: argparse.ArgumentParser) -> None:
    """Find out why pulls fail or waste traffic: on this machine, on the network, at the registry."""
    parser.add_argument("target", nargs="?", metavar="REGISTRY|NAME", help="a registry, or an image in one")
    parser.add_argument("--rate", action="store_true", help="measure the download rate, too; this downloads 256 kB")
    parser.add_argument(
        "--registry-mirror", action="append", metavar="URL", help="a mirror of docker.io to check, too (repeatable)"
    )
    insecure(parser)
    authfile(parser)
    parser.add_argument("--format", choices=("table", "json"), default="table", help="how to print the result")


def _version(parser: argparse.ArgumentParser) -> None:
    """Print the version of Headway."""
    format_(parser, "{{.Version}}")


def _completion(parser: argparse.ArgumentParser) -> None:
    """Print the completion script for a shell."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")


def _run(parser: argparse.ArgumentParser) -> None:
    """Headway does not run containers; this shows what does."""
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...")


COMMANDS = {
    "daemon": Command(_daemon, "headway.cli.daemon", "run the daemon, for docker and other clients", is_server=True),
    "context": Command(_context, "headway.cli.context", "print the command that creates a docker context"),
    "login": Command(_login, "headway.cli.login", "log in to a registry"),
    "logout": Command(_logout, "headway.cli.login", "remove a saved login"),
    "doctor": Command(_doctor, "headway.cli.doctor", "find out why pulls fail or waste traffic"),
    "version": Command(_version, "headway.cli.version", "print the version"),
    "completion": Command(_completion, "headway.cli.completion", "print a completion script: bash, zsh or fish"),
    "run": Command(_run, "headway.cli.version", ""),
}
