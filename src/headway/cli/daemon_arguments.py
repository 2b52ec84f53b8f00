"""The flags of `headway daemon`: those of dockerd that an image service has a use for (moby-behaviour 7.1)."""

from __future__ import annotations

import argparse
from pathlib import Path

_TEXTS = {
    "group": ("GROUP", "a group that may use the socket, besides its owner"),
    "log-level": ("LEVEL", "debug, info, warn, error or fatal (default: info)"),
    "log-format": ("FORMAT", "text or json (default: text)"),
    "metrics-addr": ("HOST:PORT", "serve Prometheus metrics there, at /metrics (default: not at all)"),
    "download-patience": (
        "DUR",
        "give up a download only after this long without a new byte: 90s, forever (default: 10m)",
    ),
    "storage-driver": ("DRIVER", "overlay2 or vfs (default: the best that works here)"),
}
_NUMBERS = {
    "max-concurrent-downloads": "downloads at once (default: 3)",
    "max-concurrent-uploads": "uploads at once (default: 5)",
    "max-download-attempts": "give up a download only after N attempts in a row without a new byte (default: 5)",
    "shutdown-timeout": "how many seconds requests may take to end at shutdown; -1: no limit (default: 15)",
}
_PATHS = {
    "pidfile": "write the process ID to this file",
    "tlscacert": "the CA that signs clients' certificates",
    "tlscert": "the daemon's certificate",
    "tlskey": "the key of that certificate",
    "auth-file": "read logins from this file",
}
_LISTS = {
    "host": ("hosts", "ADDRESS", "listen here: unix:///run/headway.sock, tcp://HOST:PORT, fd:// (repeatable)"),
    "label": ("labels", "KEY=VALUE", "a label for docker info to show (repeatable)"),
    "registry-mirror": ("registry_mirrors", "URL", "a mirror of docker.io to try first (repeatable)"),
    "insecure-registry": (
        "insecure_registries",
        "HOST[:PORT]|CIDR",
        "allow plain HTTP, and TLS with any certificate, for this registry (repeatable)",
    ),
}
_FLAGS = {
    "tls": "use TLS on tcp:// (the default there); --tls=false turns it off",
    "tlsverify": "use TLS and require client certificates",
    "pull-detach": "continue a pull when its client disconnects",
}
_SHORT = {"group": "-G", "host": "-H", "log-level": "-l", "pidfile": "-p", "storage-driver": "-s"}
SHARED = (
    *("debug", "max_concurrent_downloads", "max_concurrent_uploads", "max_download_attempts", "download_patience"),
    *("registry_mirrors", "insecure_registries", "storage_driver", "auth_file"),
)
"""Settings that commands have as well, by field name; every other one is for a daemon only."""


def fill(parser: argparse.ArgumentParser) -> None:
    """Serve the Docker Engine API for images (containers are kept, but not run)."""
    parser.add_argument("--validate", action="store_true", help="check the configuration and exit")
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
    """Return the flags that were given, by field name: those that commands have as well, and those of a daemon only."""
    names = [name.replace("-", "_") for name in (*_TEXTS, *_NUMBERS, *_PATHS, *_FLAGS)]
    names += [field for field, _, _ in _LISTS.values()]
    shared: dict[str, object] = {}
    own: dict[str, object] = {}
    for name in ("debug", *names):
        value = getattr(options, name)
        if value is not None:
            (shared if name in SHARED else own)[name] = tuple(value) if isinstance(value, list) else value
    return shared, own
