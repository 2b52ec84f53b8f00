"""Makes a private key on P-256; run as a program, it prints one.

Rule 1: the library cryptography, once imported, keeps 11 MB of memory, and a data root needs it once in its life. So a
        child process imports it.
Rule 2: on machines for which there is no built cryptography, the openssl program makes the key; Debian's
        ca-certificates depend on it.
"""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

from headway.errors import StoreError

_OPENSSL = ("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-outform", "DER")
# An ECPrivateKey (RFC 5915) on P-256 is _DER_HEAD, the secret, _DER_MIDDLE, and the coordinates of the point.
_DER_HEAD = bytes.fromhex("30770201010420")
_DER_MIDDLE = bytes.fromhex("a00a06082a8648ce3d030107a14403420004")
_SECONDS = 60.0


class Numbers(NamedTuple):
    """A private key: the coordinates of its public point, and the secret `d`."""

    x: int
    y: int
    d: int


def made_apart() -> Numbers:
    """Return a new key, made by a child process, or in this one where the child fails.

    Raises:
        StoreError: Neither cryptography nor openssl makes a key.
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
        StoreError: Neither of them makes a key.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415  # see rule 1
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
