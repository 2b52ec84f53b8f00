"""Makes a private key on P-256; as a program, it prints one.

Rule: the library that does it stays in memory, 11 MB of it, and is needed once in the life of a data root. So a daemon
lets a process of its own use it.
"""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

_SECONDS = 60.0


class Numbers(NamedTuple):
    """What a key is: a point, and the secret that makes it."""

    x: int
    y: int
    d: int


def made_apart() -> Numbers:
    """Return a new key, made by a child where one can be started and here where none can."""
    command = [sys.executable, "-m", __spec__.name]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=_SECONDS, text=True)  # noqa: S603  # ourselves
        return Numbers(*(int(word, 16) for word in done.stdout.split()))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return made()


def made() -> Numbers:
    """Return a new key, made in this process."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415  # see the module's rule

    numbers = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    return Numbers(numbers.public_numbers.x, numbers.public_numbers.y, numbers.private_value)


if __name__ == "__main__":
    sys.stdout.write(" ".join(f"{number:x}" for number in made()))
