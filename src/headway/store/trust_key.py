"""The daemon's own key: an EC key on P-256 as a JSON Web Key, as Docker kept it in ``key.json``.

Rule 1: it is made once, and nothing but a person replaces it: a file that is damaged is an error.
Rule 2: its ID stands in the file, and is checked against the public half without any crypto library.
"""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import msgspec

from headway.errors import KeyDamagedError
from headway.paths import is_file, is_there
from headway.store.durable import fsync_directory, write_new
from headway.store.failures import disk_errors
from headway.store.new_key import made_apart

_MEMBERS = ("kty", "crv", "kid", "x", "y", "d")
_COORDINATE_BYTES = 32
# SubjectPublicKeyInfo (RFC 5480) of an uncompressed point on P-256, up to the point itself.
_DER_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


class FileTrustKey:
    """`TrustKey` in a file. Made by `load_or_make`.

    Args:
        jwk: The key, checked.
    """

    def __init__(self, jwk: dict[str, str]) -> None:
        self._jwk = jwk

    @property
    def key_id(self) -> str:
        """Its name as Docker computes it: the daemon's ID."""
        return self._jwk["kid"]

    def private_jwk(self) -> dict[str, str]:
        """Return the whole key as a JSON Web Key."""
        return dict(self._jwk)


def load_or_make(path: Path) -> FileTrustKey:
    """Return the key in a file; where there is none, make one, for this user only and durably.

    Called with the data root's lock held.

    Raises:
        StoreCorruptError: The file holds no such key. It is left as it is.
        StoreReadOnlyError: It cannot be read or written.
        StoreError: The disk failed.
    """
    with disk_errors(path):
        if is_there(path) and not is_file(path):  # a fifo would never end
            raise KeyDamagedError(path)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            jwk = _new_jwk()
            _write(path, msgspec.json.encode(jwk))
            return FileTrustKey(jwk)
    return FileTrustKey(_checked(data, path))


def key_id(x: bytes, y: bytes) -> str:
    """Return the name of a public key: base32 of the first 240 bits of the SHA-256 of its DER form (libtrust)."""
    digest = hashlib.sha256(_DER_PREFIX + x + y).digest()
    text = base64.b32encode(digest[:30]).decode()
    return ":".join(text[at : at + 4] for at in range(0, len(text), 4))


def _new_jwk() -> dict[str, str]:
    x, y, d = (number.to_bytes(_COORDINATE_BYTES, "big") for number in made_apart())
    return {"kty": "EC", "crv": "P-256", "kid": key_id(x, y), "x": _encode(x), "y": _encode(y), "d": _encode(d)}


def _checked(data: bytes, path: Path) -> dict[str, str]:
    try:
        jwk = msgspec.json.decode(data, type=dict[str, str])
        x, y, _ = (_decode(jwk[member]) for member in ("x", "y", "d"))
        is_right = all(
            (
                set(jwk) == set(_MEMBERS),
                (jwk["kty"], jwk["crv"]) == ("EC", "P-256"),
                _is_on_curve(x, y),
                jwk["kid"] == key_id(x, y),
            )
        )
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, ValueError):
        is_right = False
    if not is_right:
        raise KeyDamagedError(path)
    return jwk


def _is_on_curve(x: bytes, y: bytes) -> bool:
    a, b = int.from_bytes(x, "big"), int.from_bytes(y, "big")
    return (b * b - (a * a * a - 3 * a + _B)) % _P == 0


def _encode(number: bytes) -> str:
    return base64.urlsafe_b64encode(number).decode().rstrip("=")


def _decode(text: str) -> bytes:
    number = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if len(number) != _COORDINATE_BYTES:
        raise ValueError("not 32 bytes")
    return number


def _write(path: Path, data: bytes) -> None:
    private = path.with_name(f"{path.name}.new")
    private.unlink(missing_ok=True)
    write_new(private, data)
    os.rename(private, path)
    fsync_directory(path.parent)
