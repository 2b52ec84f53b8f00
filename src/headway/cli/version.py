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
"""
_BUNDLE = """\
next: d="$(mktemp -d)" && {headway} bundle {name} "$d/b" && runc run --bundle "$d/b" {short}
      d="$(mktemp -d)" && {headway} bundle {name} "$d/b" && crun run --bundle "$d/b" {short}
"""
_PODMAN = """\
      podman run --rm -it --rootfs "$({headway} mount {name})":O {words}
"""
_PODMAN_WITHOUT_ROOT = """\
      d="$(mktemp -d)" && {headway} unpack {name} "$d/r" && podman run --rm -it --rootfs "$d/r" {words}
"""
_OF_A_DAEMON = """\
next: {headway} save {name} | podman load && podman run --rm -it {name}{command}
      {headway} save {name} | docker load && docker run --rm -it {name}{command}
"""  # whose store may be on another machine: bundles and mounts are made where it is


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
    own = _BUNDLE + (_PODMAN if os.geteuid() == 0 else _PODMAN_WITHOUT_ROOT)
    text = _RUN + (_OF_A_DAEMON if _names_daemon(options) else own)
    headway, name, short = _same_store(options), shlex.quote(name), shlex.quote(short)
    given = "".join(f" {shlex.quote(word)}" for word in command[:-1])
    sys.stderr.write(text.format(headway=headway, name=name, short=short, words=words, command=given))
    return USAGE


def _names_daemon(options: Namespace) -> bool:
    return bool(options.host or (options.data_root is None and os.environ.get("HEADWAY_HOST")))


def _same_store(options: Namespace) -> str:
    """Return the command line with the options that select the same store: the image may be in no other."""
    named = (("--config-file", options.config_file), ("--data-root", options.data_root), ("-H", options.host))
    return shlex.join(["headway", *(str(word) for flag, value in named if value for word in (flag, value))])
