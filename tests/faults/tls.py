"""A certificate for a test's own servers."""

from __future__ import annotations

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
    """

    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        """Return what a server speaks TLS with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


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
