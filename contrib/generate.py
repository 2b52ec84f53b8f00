"""Writes what is made from the command line's own words: completions and the manual page.

None of it is kept beside the sources, so that none of it can be behind them: `contrib/install` makes it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from headway.cli.command_line import Command, Option, commands
from headway.cli.completion import script

_COMPLETIONS = {
    "bash": "bash-completion/completions/headway",
    "zsh": "zsh/vendor-completions/_headway",
    "fish": "fish/vendor_completions.d/headway.fish",
}

_INTRODUCTION = r"""
.SH NAME
headway, headwayd \- pull, keep and serve container images over links that break
.SH SYNOPSIS
.B headway
.RB [ \-H
.IR ADDRESS ]
.RB [ \-\-data\-root
.IR DIR ]
.RB [ \-\-config\-file
.IR FILE ]
.RB [ \-D ]
.I COMMAND
.RI [ ARGUMENT ...]
.br
.B headwayd
.RI [ OPTION ...]
.SH DESCRIPTION
Headway pulls container images onto machines whose links break; a byte that has arrived is never downloaded twice.
Without a daemon, each command works on the data root itself. If a daemon holds the data root, or one is named with
\fB\-H\fR, commands that change something go through that daemon. \fBheadwayd\fR is \fBheadway daemon\fR by another
name; it serves the Docker Engine API, so that \fBdocker\fR(1) works with it.
"""
_END = r"""
.SH FILES
.TP
.I /etc/headway/daemon.json
Settings, with Docker's keys.
.TP
.I /var/lib/headway
The data root of root; that of other users is \fI$XDG_DATA_HOME/headway\fR.
.TP
.I /run/headway.sock
The socket of root's daemon; that of other users is \fI$XDG_RUNTIME_DIR/headway.sock\fR.
.SH ENVIRONMENT
.TP
.B HEADWAY_HOST
The daemon to use: unix:///PATH or tcp://HOST:PORT.
.TP
.B DOCKER_HOST
The same, if Headway answers there.
.TP
.BR HEADWAY_CERT_PATH ", " DOCKER_CERT_PATH
A directory with ca.pem, cert.pem and key.pem, for tcp:// addresses.
.TP
.B REGISTRY_AUTH_FILE
The file that logins are read from.
.TP
.B DOCKER_CONFIG
The directory of docker's config.json, which is read for logins.
.TP
.BR http_proxy ", " https_proxy ", " all_proxy ", " no_proxy
Proxies, as other programs use them.
.SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
Failed, and trying again will not help.
.TP
.B 2
The command line, a name or a setting is wrong.
.TP
.B 73
The disk is full.
.TP
.B 75
Failed for now: try again; what has arrived is kept.
.TP
.B 76
Over budget.
.TP
.B 77
Refused: login needed, or not allowed.
.TP
.B 130
Interrupted.
.SH SEE ALSO
.BR docker (1),
.BR skopeo (1),
.BR podman (1)
"""


def manual() -> str:
    """Return the manual page."""
    return "".join(f"{line}\n" for line in _manual())


def _manual() -> Iterator[str]:
    yield r".\" Written by contrib/generate.py from the command line's own words."
    yield ".TH HEADWAY 1"
    yield from _INTRODUCTION.strip().splitlines()
    yield ".SH COMMANDS"
    for command in commands():
        yield from _section(command)
    yield from _END.strip().splitlines()


def _section(command: Command) -> Iterator[str]:
    yield f".SS {_plain(command.usage)}"
    yield _plain(command.help)
    if command.aliases:
        yield f"Also: {', '.join(command.aliases)}."
    for option in command.options:
        yield from _option(option)


def _option(option: Option) -> Iterator[str]:
    names = ", ".join(rf"\fB{_plain(name)}\fR" for name in option.names)
    yield ".TP"
    yield f"{names} \\fI{_plain(option.value)}\\fR" if option.value else names
    yield _plain(option.help) or r"\&"


def _plain(text: str) -> str:
    """Return text as roff shows it unchanged."""
    return re.sub(r"^([.'])", r"\\&\1", text.replace("\\", r"\e").replace("-", r"\-"))


def files() -> dict[str, str]:
    """Return what is in every file, by its place below ``share/``."""
    return {
        **{place: script(shell) for shell, place in _COMPLETIONS.items()},
        "man/man1/headway.1": manual(),
        "man/man1/headwayd.1": ".so man1/headway.1\n",
    }


def main(share: Path) -> None:
    """Write them below a directory."""
    for place, text in files().items():
        path = share / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
