"""What every `TrustKey` does."""

from __future__ import annotations

import base64
import hashlib
import re

from headway.interfaces.trust import TrustKey


def number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def docker_id(jwk: dict[str, str]) -> str:
    """Return what Docker calls a key; done with the crypto library that Headway itself does without."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - few tests need it
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    public = ec.EllipticCurvePublicNumbers(number(jwk["x"]), number(jwk["y"]), ec.SECP256R1())
    private = ec.EllipticCurvePrivateNumbers(number(jwk["d"]), public).private_key()
    der = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    text = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode()
    return ":".join(re.findall("....", text))


class TrustKeyContract:
    """Give `subject`, a `TrustKey`."""

    def test_its_id_is_what_docker_computes(self, subject: TrustKey) -> None:
        assert subject.key_id == docker_id(subject.private_jwk())
        assert re.fullmatch(r"([A-Z2-7]{4}:){11}[A-Z2-7]{4}", subject.key_id)

    def test_the_whole_key_is_there(self, subject: TrustKey) -> None:
        jwk = subject.private_jwk()

        assert (jwk["kty"], jwk["crv"], jwk["kid"]) == ("EC", "P-256", subject.key_id)
        assert sorted(jwk) == ["crv", "d", "kid", "kty", "x", "y"]
