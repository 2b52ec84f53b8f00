"""Host names that only one process knows: loopback is never proxied and never has its certificate verified."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def knowing(directory: Path, *names: str) -> Sequence[str | Path]:
    """Return the command that starts another one for which `names` are 127.0.0.1; needs root.

    Args:
        directory: Where to put its hosts file.
        names: Every name that it has to know.
    """
    hosts = directory / "hosts"
    hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *names)))
    return seeing(hosts, "/etc/hosts")


def seeing(file: Path, at: str) -> Sequence[str | Path]:
    """Return the command that starts another one which sees `file` at another place; needs root."""
    # What is mounted over must be there, and a file that is a link is mounted over where it leads.
    return ["unshare", "--mount", "sh", "-c", f'mount --bind "$0" {at} && exec "$@"', file]
