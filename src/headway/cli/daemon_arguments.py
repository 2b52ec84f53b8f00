"""The flags of `headway daemon`: dockerd's, as far as an image service has a use for them (moby-behaviour 7.1)."""

from __future__ import annotations

import argparse
from pathlib import Path

_TEXTS = {
    "group": ("GROUP", "who shares the socket, besides its owner"),
    "log-level": ("LEVEL", "debug, info, warn, error or fatal (default: info)"),
    "log-format": ("FORMAT", "text or json (default: text)"),
    "metrics-addr": ("HOST:PORT", "serve /metrics for Prometheus there (default: nowhere)"),
    "download-patience": (
        "DUR",
        "how long to wait for a new byte once the attempts are used up: 90s, 10m, forever (default: 10m)",
    ),
    "storage-driver": ("DRIVER", "overlay2 or vfs (default: what works here)"),
}
_NUMBERS = {
    "max-concurrent-downloads": "downloads at once (default: 3)",
    "max-concurrent-uploads": "uploads at once (default: 5)",
    "max-download-attempts": "give up a download after so many attempts in a row without a new byte (default: 5)",
    "shutdown-timeout": "seconds that requests have to end at shutdown; -1 for ever (default: 15)",
}
_PATHS = {
    "pidfile": "where to write the process's ID",
    "tlscacert": "who signs clients' certificates",
    "tlscert": "our certificate",
    "tlskey": "its key",
    "auth-file": "where logins are read",
}
_LISTS = {
    "host": ("hosts", "ADDRESS", "listen here: unix:///run/headway.sock, tcp://HOST:PORT, fd:// (repeatable)"),
    "label": ("labels", "KEY=VALUE", "what docker info shows (repeatable)"),
    "registry-mirror": ("registry_mirrors", "URL", "ask here first for docker.io (repeatable)"),
    "insecure-registry": (
        "insecure_registries",
        "HOST[:PORT]|CIDR",
        "may be asked without verified TLS (repeatable)",
    ),
}
_FLAGS = {
    "tls": "speak TLS on tcp:// (the default there); --tls=false for none",
    "tlsverify": "speak TLS, and want certificates of clients",
    "pull-detach": "let a pull go on when its client leaves",
}
_SHORT = {"group": "-G", "host": "-H", "log-level": "-l", "pidfile": "-p", "storage-driver": "-s"}
SHARED = (
    *("debug", "max_concurrent_downloads", "max_concurrent_uploads", "max_download_attempts", "download_patience"),
    *("registry_mirrors", "insecure_registries", "storage_driver", "auth_file"),
)
"""Those that commands have too; every other one is a daemon's only."""


def fill(parser: argparse.ArgumentParser) -> None:
    """Serve the Docker Engine API: images, and what they need of containers."""
    parser.add_argument("--validate", action="store_true", help="check the configuration and leave")
    for name, (shape, words) in _TEXTS.items():
        parser.add_argument(*_names(name), metavar=shape, help=words)
    for name, words in _NUMBERS.items():
        parser.add_argument(f"--{name}", type=int, metavar="N", help=words)
    for name, words in _PATHS.items():
        parser.add_argument(*_names(name), type=Path, metavar="FILE", help=words)
    for name, (field, shape, words) in _LISTS.items():
        parser.add_argument(*_names(name), dest=field, action="append", metavar=shape, help=words)
    for name, words in _FLAGS.items():
        parser.add_argument(f"--{name}", type=_truth, nargs="?", const=True, metavar="true|false", help=words)


def _names(name: str) -> list[str]:
    return [_SHORT[name], f"--{name}"] if name in _SHORT else [f"--{name}"]


def _truth(text: str) -> bool:
    if text.lower() in ("true", "1", "t"):
        return True
    if text.lower() in ("false", "0", "f"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def given(options: argparse.Namespace) -> tuple[dict[str, object], dict[str, object]]:
    """Return what the command line says: what commands have too, and what only a daemon has."""
    names = [name.replace("-", "_") for name in (*_TEXTS, *_NUMBERS, *_PATHS, *_FLAGS)]
    names += [field for field, _, _ in _LISTS.values()]
    shared: dict[str, object] = {}
    own: dict[str, object] = {}
    for name in ("debug", *names):
        value = getattr(options, name)
        if value is not None:
            (shared if name in SHARED else own)[name] = tuple(value) if isinstance(value, list) else value
    return shared, own
