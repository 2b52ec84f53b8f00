"""A certificate for a test's own servers."""

from __future__ import annotations

import datetime
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate, which is its own authority.

    Attributes:
        certificate: Path of the PEM file; what a client has to trust.
        key: Path of its key.
        clients: What a client's certificate has to be signed by; None where clients need to show none.
    """

    certificate: Path
    key: Path
    clients: Path | None = None

    def server_context(self) -> ssl.SSLContext:
        """Return what a server speaks TLS with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if self.clients is not None:
            context.load_verify_locations(self.clients)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def make_certificate_for_another_time(directory: Path, *, name: str, days_from_now: float) -> Certificate:
    """Make one for `name` that is good for two days, from a moment in the past or to come."""
    # Here, for `make demo` needs none of it.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Headway test at another time")])
    begins = datetime.datetime.now(tz=datetime.UTC) + datetime.timedelta(days=days_from_now)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    made = Certificate(directory / "other.crt", directory / "other.pem")
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form, nothing = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    made.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, nothing))
    return made


def make_certificate(directory: Path, *, days: int = 2, names: str = "IP:127.0.0.1,DNS:localhost") -> Certificate:
    """Make one in `directory` with the openssl command.

    Args:
        directory: Where the two files go.
        days: How long it is good for.
        names: Its subjectAltName.
    """
    # Not *.key: Docker and skopeo would take that for a client's, in a directory of certificates (certs.d).
    made = Certificate(directory / "ca.crt", directory / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", "/CN=Headway test", "-days", str(days), "-addext", f"subjectAltName={names}",
         "-keyout", str(made.key), "-out", str(made.certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return made
