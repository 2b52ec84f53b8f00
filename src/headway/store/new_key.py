"""Makes a private key on P-256; as a program, it prints one.

Rule 1: the library that does it stays in memory, 11 MB of it, and is needed once in the life of a data root. So a
        daemon lets a process of its own use it.
Rule 2: where that library does not come built for a machine, the openssl program does it, which Debian's
        ca-certificates bring.
"""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

from headway.errors import StoreError

_OPENSSL = ("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-outform", "DER")
# An ECPrivateKey (RFC 5915) on P-256: what stands before its secret, and between that and its point.
_DER_HEAD = bytes.fromhex("30770201010420")
_DER_MIDDLE = bytes.fromhex("a00a06082a8648ce3d030107a14403420004")
_SECONDS = 60.0


class Numbers(NamedTuple):
    """What a key is: a point, and the secret that makes it."""

    x: int
    y: int
    d: int


def made_apart() -> Numbers:
    """Return a new key, made by a child where one can be started and here where none can.

    Raises:
        StoreError: Nothing here makes keys.
    """
    command = [sys.executable, "-m", __spec__.name]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=_SECONDS, text=True)  # noqa: S603  # ourselves
        return Numbers(*(int(word, 16) for word in done.stdout.split()))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError):
        return made()


def made() -> Numbers:
    """Return a new key, made in this process, or by openssl where Python has no cryptography.

    Raises:
        StoreError: Nothing here makes keys.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415  # rule 1
    except ImportError:
        return _made_by_openssl()
    numbers = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    return Numbers(numbers.public_numbers.x, numbers.public_numbers.y, numbers.private_value)


def _made_by_openssl() -> Numbers:
    try:
        der = subprocess.run(_OPENSSL, capture_output=True, check=True, timeout=_SECONDS).stdout  # noqa: S603  # nothing of it is a user's
    except (OSError, subprocess.SubprocessError) as error:
        raise StoreError(
            f"no key can be made for this data root: Python has no cryptography here, and openssl fails: {error}"
        ) from error
    head, secret, middle, point = der[:7], der[7:39], der[39:57], der[57:]
    if (head, middle, len(point)) != (_DER_HEAD, _DER_MIDDLE, 64):
        raise StoreError("no key can be made for this data root: openssl gave something else than a key on P-256")
    x, y, d = (int.from_bytes(part, "big") for part in (point[:32], point[32:], secret))
    return Numbers(x, y, d)


if __name__ == "__main__":
    sys.stdout.write(" ".join(f"{number:x}" for number in made()))
