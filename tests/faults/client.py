"""A client of the scripted registry, with one image there: what a test asks, and of whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from headway.distribution.credentials import Credentials
from headway.distribution.endpoints import Endpoint
from headway.errors import HeadwayError
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.oci.reference import Reference
from headway.registry.address import Address
from headway.registry.blob import RegistryBlob
from headway.registry.client import RegistryClient
from headway.registry.credentials import CredentialSource
from headway.registry.request import Sender
from headway.registry.transport import Transport
from tests.contract.registry_contract import read_all
from tests.fakes import images
from tests.faults.auth import Auth
from tests.faults.registry import Registry
from tests.faults.story import Effect
from tests.faults.story import Fault as On
from tests.faults.tls import Certificate

PATH = "test/image"
IMAGE = images.image([images.noise_layer(300_000), images.noise_layer(1000, seed=1)])
BLOB = IMAGE.blobs[IMAGE.layers[0]]
SIZE = len(BLOB)
LAYER = Descriptor(media_type="layer", digest=Digest.parse(IMAGE.layers[0]), size=SIZE)
MANIFEST = Digest.parse(IMAGE.manifest_digest)
SECRET = "correct-horse-battery"


def anonymous(host: str) -> Credentials | None:
    """Know no credentials at all; a `CredentialSource`."""
    return None


class Client:
    """A client, and the endpoint it asks.

    Args:
        host: ``host:port``.
        credentials: Who we are.
        secure: Whether TLS is demanded.
        scheme: Of the endpoint.
        hello_seconds: See `Sender`.
    """

    def __init__(
        self,
        host: str,
        credentials: CredentialSource = anonymous,
        *,
        secure: bool = False,
        scheme: str = "http",
        hello_seconds: float = 3.0,
    ) -> None:
        self.transport = Transport()
        self.sender = Sender(self.transport, credentials, hello_seconds=hello_seconds)
        self.registry = RegistryClient(self.sender)
        self.endpoint = Endpoint(host=host, secure=secure, scheme=scheme)

    def blob(self, offset: int = 0, end: int = SIZE, *, limit: float = 5.0) -> RegistryBlob:
        stream = self.registry.blob(self.endpoint, PATH, LAYER, offset, end)
        stream.stall_limit_seconds = limit
        return stream

    def fetch(self, offset: int = 0, end: int = SIZE, *, limit: float = 5.0) -> tuple[int, bytes]:
        """Return where the body starts, and the body."""
        start, data, error = self.try_fetch(offset, end, limit=limit)
        if error is not None:
            raise error
        return start, data

    def try_fetch(
        self, offset: int = 0, end: int = SIZE, *, limit: float = 5.0
    ) -> tuple[int, bytes, HeadwayError | None]:
        """Return the body as far as it comes, too, and why no further."""
        return read_all(self.blob(offset, end), limit=limit)

    def manifest(self) -> bytes:
        return self.registry.fetch_manifest(self.endpoint, PATH, MANIFEST).data

    def resolve(self, name: str = ":latest") -> Descriptor:
        return self.registry.resolve(self.endpoint, Reference.parse(f"{self.endpoint.host}/{PATH}{name}"))


@contextmanager
def client_of(
    host: str,
    credentials: CredentialSource = anonymous,
    *,
    secure: bool = False,
    scheme: str = "http",
    hello_seconds: float = 3.0,
) -> Iterator[Client]:
    client = Client(host, credentials, secure=secure, scheme=scheme, hello_seconds=hello_seconds)
    try:
        yield client
    finally:
        client.transport.close()


@contextmanager
def world(
    *script: Effect | On, auth: Auth | None = None, credentials: CredentialSource = anonymous
) -> Iterator[tuple[Registry, Client]]:
    """Give a registry and a client of it; an effect alone is for every blob."""
    faults = [each if isinstance(each, On) else On(each, kind="blob") for each in script]
    with Registry([IMAGE], faults=faults, auth=auth) as registry, client_of(registry.host, credentials) as client:
        yield registry, client


def knowing(user: str, password: str, identity_token: str = "") -> CredentialSource:
    return lambda host: Credentials(user, password, identity_token)


def trust(client: Client, certificate: Certificate) -> None:
    """Let a client trust a certificate, as SSL_CERT_FILE does."""
    context = client.transport.context(Address("https", "any", 443, verify=True))
    assert context is not None
    context.load_verify_locations(certificate.certificate)
