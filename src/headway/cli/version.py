"""`headway version`, and what `headway run` says instead of running."""

from __future__ import annotations

import itertools
import os
import shlex
import sys
from argparse import Namespace

from headway.cli.failures import DONE, USAGE
from headway.cli.table import render
from headway.version import VERSION

_RUN = """\
headway: run: Headway keeps images and does not run containers; one of these does, now:
next: d="$(mktemp -d)" && {headway} bundle {name} "$d/b" && runc run --bundle "$d/b" {short}
      d="$(mktemp -d)" && {headway} bundle {name} "$d/b" && crun run --bundle "$d/b" {short}
"""
_PODMAN = """\
      podman run --rm -it --rootfs "$({headway} mount {name})":O {words}
"""
_PODMAN_WITHOUT_ROOT = """\
      d="$(mktemp -d)" && {headway} unpack {name} "$d/r" && podman run --rm -it --rootfs "$d/r" {words}
"""


def version(options: Namespace) -> int:
    """Print which Headway this is, on which Python."""
    row = {"Version": VERSION, "Python": ".".join(map(str, sys.version_info[:3])), "Os": sys.platform}
    if options.format == "table":
        print(f"headway {VERSION} (Python {row['Python']})")
    else:
        print(render([row], {"Version": "VERSION", "Python": "PYTHON", "Os": "OS"}, options.format), end="")
    return DONE


def run(options: Namespace) -> int:
    """Say what runs an image."""
    name, *command = itertools.dropwhile(lambda word: word.startswith("-"), [*options.rest, "NAME"])
    short = name.rpartition("/")[2].partition(":")[0].partition("@")[0]
    # A root file system has no command of its own: the one that was given, or what most images have.
    words = shlex.join(command[:-1]) or "sh"
    text = _RUN + (_PODMAN if os.geteuid() == 0 else _PODMAN_WITHOUT_ROOT)
    sys.stderr.write(
        text.format(headway=_same_store(options), name=shlex.quote(name), short=shlex.quote(short), words=words)
    )
    return USAGE


def _same_store(options: Namespace) -> str:
    """Return how the command is called for the store that it was called for: the image may be in no other."""
    named = (("--config-file", options.config_file), ("--data-root", options.data_root))
    return shlex.join(["headway", *(str(word) for flag, value in named if value for word in (flag, value))])
