"""Reads from registries by the OCI distribution specification.

Rule 1: each call asks one endpoint once; whether to ask again, or somebody else, is decided in `distribution`.
Rule 2: an answer is checked against what was asked (digest, length, range, content type) before a byte is passed on.
Rule 3: ``Authorization`` goes to the registry that asked for it and to no host it redirects to.
"""

from __future__ import annotations

import re
import threading
import urllib.parse
from collections.abc import Mapping

import msgspec

from headway.distribution.endpoints import Endpoint
from headway.errors import (
    DigestMismatchError,
    Fault,
    HeadwayError,
    InvalidDigestError,
    InvalidDocumentError,
    MisbehavedError,
    UnreachableError,
)
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.oci.manifest import MAX_MANIFEST_BYTES
from headway.oci.media_types import ACCEPTED_MANIFESTS
from headway.oci.reference import Reference
from headway.records import RawManifest
from headway.registry.auth import Authorizer
from headway.registry.connection import CONNECT_SECONDS, Address, split_url
from headway.registry.credentials import CredentialSource
from headway.registry.failures import failure
from headway.registry.http import Exchange, HttpClient

MAX_REDIRECTS = 10
ANSWER_SECONDS = 15.0
TAGS_AT_ONCE = 1000
MAX_TAG_PAGES = 1000
FALLBACK_HELLO_SECONDS = 3.0
MIRROR_SECONDS = 4.0  # how long a mirror may be silent before its first byte: another endpoint is waiting
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)\Z")
_LINK = re.compile(r'<([^<>]*)>[^,<>]*;\s*rel\s*=\s*"?next\b')
_URL_SAFE = "/%:@!$&'()*+,;=~?"
_NOT_TLS = {Fault.TLS, Fault.CUT, Fault.REFUSED, Fault.PROXY}
_REDIRECTS = {301, 302, 303, 307, 308}


class _TagList(msgspec.Struct):
    tags: list[str] | None = None


class RegistryClient:
    """Implements `interfaces.Registry` over HTTP.

    Args:
        http: Connections.
        credentials: Who we are, by host and repository.
        hello_seconds: How long TLS at an insecure registry may be silent before plain HTTP is tried.
        offline: See `Authorizer`.
    """

    def __init__(
        self,
        http: HttpClient,
        credentials: CredentialSource,
        *,
        hello_seconds: float = FALLBACK_HELLO_SECONDS,
        offline: bool = False,
    ) -> None:
        self.hello_seconds = hello_seconds
        self._http = http
        self._authorizer = Authorizer(http, credentials, offline=offline)
        self._schemes: dict[str, str] = {}
        self._lock = threading.Lock()
        self._received = 0

    @property
    def received_bytes(self) -> int:
        """How much all manifest requests have received so far, headers included."""
        return self._received

    def check(self, endpoint: Endpoint) -> None:
        """Ask whether the registry is one, and lets us in (distribution-spec, "Determining Support").

        Raises:
            RegistryError: It is not, or does not, or cannot be reached.
        """
        with _Request(self, endpoint, "", "GET", "/v2/", {}) as request:
            exchange = request.send()
            if exchange.status != 200:
                raise request.failure("registry", endpoint.host)
            if _media_type(exchange) == "text/html":
                raise _captive_portal(endpoint)
            exchange.finish()

    def resolve(self, endpoint: Endpoint, reference: Reference) -> Descriptor:
        """See `interfaces.Registry.resolve`; a HEAD without a digest is followed by a GET, as Docker does."""
        name = str(reference.digest or reference.tag)
        target = f"/v2/{reference.path}/manifests/{name}"
        with _Request(self, endpoint, reference.path, "HEAD", target, {"Accept": ACCEPTED_MANIFESTS}) as request:
            exchange = request.send()
            if exchange.status == 429 or exchange.status >= 500:
                raise request.failure("manifest", _manifest_name(reference.path, name))
            size = exchange.length
            digest = _digest_header(exchange, endpoint) if exchange.status == 200 else None
            media_type = _media_type(exchange)
        if digest is None or size is None:
            manifest = self._get_manifest(endpoint, reference.path, name, reference.digest)
            digest, size, media_type = manifest.digest, len(manifest.data), manifest.media_type
        if reference.digest is not None and digest != reference.digest:
            raise DigestMismatchError("the manifest", reference.digest, digest, endpoint.host)
        return Descriptor(media_type=media_type, digest=digest, size=size)

    def fetch_manifest(self, endpoint: Endpoint, repository: str, digest: Digest) -> RawManifest:
        """See `interfaces.Registry.fetch_manifest`."""
        manifest = self._get_manifest(endpoint, repository, str(digest), digest)
        if manifest.digest != digest:
            raise DigestMismatchError("the manifest", digest, manifest.digest, endpoint.host)
        return manifest

    def _get_manifest(self, endpoint: Endpoint, repository: str, name: str, digest: Digest | None) -> RawManifest:
        """Return what a tag or digest names, with its digest by the algorithm of `digest`."""
        target = f"/v2/{repository}/manifests/{name}"
        with _Request(self, endpoint, repository, "GET", target, {"Accept": ACCEPTED_MANIFESTS}) as request:
            exchange = request.send()
            if exchange.status != 200:
                raise request.failure("manifest", _manifest_name(repository, name))
            media_type = _media_type(exchange)
            if media_type == "text/html":
                raise _captive_portal(endpoint)
            announced = exchange.length or 0
            data = exchange.read_up_to(MAX_MANIFEST_BYTES + 1) if announced <= MAX_MANIFEST_BYTES else b""
            if max(announced, len(data)) > MAX_MANIFEST_BYTES:
                raise InvalidDocumentError(f"the manifest is larger than {MAX_MANIFEST_BYTES} bytes", endpoint.host)
        return RawManifest(media_type, data, Digest.of(data, digest.algorithm if digest is not None else "sha256"))

    def blob(self, endpoint: Endpoint, repository: str, descriptor: Descriptor, offset: int, end: int) -> RegistryBlob:
        """See `interfaces.Registry.blob`."""
        return RegistryBlob(self, endpoint, repository, descriptor, offset, end)

    def tags(self, endpoint: Endpoint, repository: str) -> list[str]:
        """See `interfaces.Registry.tags`."""
        tags: dict[str, None] = {}
        target, asked = f"/v2/{repository}/tags/list?n={TAGS_AT_ONCE}", set[str]()
        while target:
            if target in asked or len(asked) >= MAX_TAG_PAGES:
                raise MisbehavedError(endpoint.host, "sends a list of tags that never ends")
            asked.add(target)
            with _Request(self, endpoint, repository, "GET", target, {"Accept": "application/json"}) as request:
                exchange = request.send()
                if exchange.status != 200:
                    raise request.failure("repository", repository)
                data = exchange.read_up_to(MAX_MANIFEST_BYTES)
                links = exchange.headers.get_all("Link") or []
            tags |= dict.fromkeys(_tags(data, endpoint))
            target = _next_page(endpoint, target, links)
        return list(tags)

    # What a request needs of its client.

    def exchange(self, address: Address, method: str, target: str, headers: Mapping[str, str]) -> Exchange:
        """Return an exchange with an address."""
        return self._http.exchange(address, method, target, headers)

    @property
    def authorizer(self) -> Authorizer:
        """Who answers the registries' challenges."""
        return self._authorizer

    def schemes(self, endpoint: Endpoint) -> list[str]:
        """Return the schemes to try, in order: HTTPS first, HTTP behind it only for insecure registries."""
        if known := self._schemes.get(endpoint.host):
            return [known]
        if endpoint.scheme == "http" or endpoint.mirror or endpoint.blob_path:
            return [endpoint.scheme]
        return ["https"] if endpoint.secure else ["https", "http"]

    def scheme_worked(self, endpoint: Endpoint, scheme: str) -> None:
        """Remember which scheme a host answers to."""
        self._schemes[endpoint.host] = scheme

    def count(self, received: int) -> None:
        """Add to `received_bytes`."""
        with self._lock:
            self._received += received


class _Request:
    """One request to an endpoint, through its challenge, its redirects and its scheme."""

    def __init__(
        self,
        client: RegistryClient,
        endpoint: Endpoint,
        repository: str,
        method: str,
        target: str,
        headers: Mapping[str, str],
    ) -> None:
        self._client = client
        self._endpoint = endpoint
        self._repository = repository
        self._method = method
        self._target = endpoint.prefix + target
        self._headers = headers
        self._lock = threading.Lock()
        self._aborted = False
        self._exchange: Exchange | None = None
        self._connect_seconds = self._hello_seconds = MIRROR_SECONDS if endpoint.mirror else CONNECT_SECONDS
        self.received = 0
        self.limit_seconds = ANSWER_SECONDS

    def __enter__(self) -> _Request:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._client.count(self.received)

    def send(self) -> Exchange:
        """Return the exchange with whoever answers in the end; its status may be an error's."""
        schemes = self._client.schemes(self._endpoint)
        if len(schemes) == 1:
            return self._authorized(schemes[0])
        self._hello_seconds = self._client.hello_seconds
        try:
            return self._authorized("https")
        except UnreachableError as error:
            if error.fault not in _NOT_TLS or self._client.schemes(self._endpoint) == ["https"]:
                raise
        except MisbehavedError:
            if self._client.schemes(self._endpoint) == ["https"]:
                raise
        return self._authorized("http")

    def _authorized(self, scheme: str) -> Exchange:
        host, secure = self._endpoint.host, self._endpoint.secure
        address = Address.parse(scheme, host, verify=secure, registry=host)
        if self._endpoint.blob_path:
            return self._redirected(address, self._headers)
        for _ in range(3):
            sent = self._client.authorizer.header(self._endpoint, self._repository, self._begin)
            exchange = self._redirected(address, {**self._headers, **({"Authorization": sent} if sent else {})})
            if exchange.status != 401 or exchange.address != address:
                return exchange
            challenges = exchange.headers.get_all("WWW-Authenticate") or []
            if not self._client.authorizer.challenged(self._endpoint, self._repository, challenges, sent):
                break
            exchange.finish()
        raise self._client.authorizer.refused(self._endpoint, self._repository)

    def _redirected(self, address: Address, headers: Mapping[str, str]) -> Exchange:
        origin, target = address, self._target
        for _ in range(MAX_REDIRECTS + 1):
            sent = {name: value for name, value in headers.items() if name != "Authorization" or address == origin}
            exchange = self._begin(self._client.exchange(address, self._method, target, sent))
            exchange.send()
            if address == origin and (exchange.status != 400 or address.scheme == "https"):
                # A server that wants TLS answers 400 to plain HTTP; that is no reason to leave TLS for good.
                self._client.scheme_worked(self._endpoint, address.scheme)
            location = exchange.headers.get("Location")
            if exchange.status not in _REDIRECTS or location is None:
                return exchange
            exchange.finish()
            address, target = _follow(address, target, location)
        raise MisbehavedError(self._endpoint.host, f"redirects more than {MAX_REDIRECTS} times")

    def _begin(self, exchange: Exchange) -> Exchange:
        self.close()
        with self._lock:
            if self._aborted:
                exchange.abort()
            self._exchange = exchange
        first_byte = MIRROR_SECONDS if self._endpoint.mirror else self.limit_seconds
        exchange.limit_seconds = min(self.limit_seconds, first_byte)
        exchange.connect_seconds = self._connect_seconds
        exchange.hello_seconds = self._hello_seconds
        return exchange

    def failure(self, what: str, name: str) -> HeadwayError:
        """Return the error that the answer stands for, once it is known to be one."""
        exchange = self._exchange
        assert exchange is not None  # noqa: S101  # only called behind send()
        return failure(self._endpoint.host, exchange, what=what, name=name)

    def abort(self) -> None:
        """Make a blocked call in another thread end."""
        with self._lock:
            self._aborted = True
            if self._exchange is not None:
                self._exchange.abort()

    def close(self) -> None:
        """End or give back the connection."""
        with self._lock:
            exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self.received += exchange.received
            exchange.close()


class RegistryBlob:
    """Implements `interfaces.BlobStream`."""

    def __init__(
        self,
        client: RegistryClient,
        endpoint: Endpoint,
        repository: str,
        descriptor: Descriptor,
        offset: int,
        end: int,
    ) -> None:
        self._endpoint = endpoint
        self._descriptor = descriptor
        self._offset = offset
        self._left = 0
        headers = {}
        if offset > 0 or end < descriptor.size:
            # No If-Range: blobs are named by their content, and another backend's ETag would turn 206 into 200.
            headers["Range"] = f"bytes={offset}-" + (str(end - 1) if end < descriptor.size else "")
        target = urllib.parse.quote(endpoint.blob_path, safe=_URL_SAFE) or f"/v2/{repository}/blobs/{descriptor.digest}"
        self._request = _Request(client, endpoint, repository, "GET", target, headers)
        self._exchange: Exchange | None = None
        self.stall_limit_seconds = ANSWER_SECONDS

    @property
    def received_bytes(self) -> int:
        """Bytes that came over the connection, headers included."""
        return self._request.received + (self._exchange.received if self._exchange is not None else 0)

    def open(self) -> int:
        """See `interfaces.BlobStream.open`."""
        self._request.limit_seconds = self.stall_limit_seconds
        exchange = self._request.send()
        if exchange.status not in (200, 206):
            raise self._request.failure("blob", str(self._descriptor.digest))
        start, length = self._body(exchange)
        self._left = length
        self._exchange = exchange
        return start

    def _body(self, exchange: Exchange) -> tuple[int, int]:
        """Return where the body starts and how long it is, after comparing it with what was asked for."""
        host, size = self._endpoint.host, self._descriptor.size
        if _media_type(exchange) == "text/html":
            raise _captive_portal(self._endpoint)
        start, length = 0, size
        if exchange.status == 206:
            start, end, total = _content_range(exchange, host)
            length = end - start + 1
            if start != self._offset or total not in (None, size) or end >= size or length <= 0:
                raise MisbehavedError(
                    host, f"answers bytes {start}-{end}/{total} to a request for {self._offset}- of {size}"
                )
        if exchange.length not in (None, length):
            raise MisbehavedError(host, f"sends {exchange.length} bytes where {length} belong to this blob")
        return start, length

    def read(self) -> bytes:
        """See `interfaces.BlobStream.read`."""
        if self._exchange is None or self._left == 0:
            return b""
        self._exchange.limit_seconds = self.stall_limit_seconds
        data = self._exchange.read()
        if len(data) > self._left:
            data = data[: self._left]  # a body without a length may run over; what is behind the blob is not the blob
        if not data:
            raise UnreachableError(self._endpoint.host, Fault.CUT)
        self._left -= len(data)
        return data

    def abort(self) -> None:
        """See `interfaces.BlobStream.abort`."""
        self._request.abort()

    def close(self) -> None:
        """See `interfaces.BlobStream.close`."""
        self._request.close()
        self._exchange = None


def _follow(address: Address, target: str, location: str) -> tuple[Address, str]:
    try:
        url = split_url(urllib.parse.urljoin(f"{address.scheme}://{address}{target}", location))
    except ValueError:
        url = None
    if url is None:
        raise MisbehavedError(str(address), "redirects to something that is not HTTP")
    authority = url.netloc.rpartition("@")[2]
    following = Address.parse(url.scheme, authority, verify=address.verify, registry=address.registry)
    # Quoted where the server did not: http.client would refuse a space, and show the signature in its message.
    path, query = urllib.parse.quote(url.path or "/", safe=_URL_SAFE), urllib.parse.quote(url.query, safe=_URL_SAFE)
    return following, f"{path}?{query}" if query else path


def _tags(data: bytes, endpoint: Endpoint) -> list[str]:
    try:
        found = msgspec.json.decode(data, type=_TagList).tags
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MisbehavedError(endpoint.host, "sends no list of tags") from None
    return found or []


def _next_page(endpoint: Endpoint, target: str, links: list[str]) -> str:
    """Return the path of the next page of a list, nothing behind the last (distribution-spec, "Listing Tags")."""
    match = next((match for link in links for match in _LINK.finditer(link)), None)
    if match is None:
        return ""
    here = f"https://{endpoint.host}{endpoint.prefix}{target}"
    try:
        url = urllib.parse.urlsplit(urllib.parse.urljoin(here, match[1]))
    except ValueError:
        raise MisbehavedError(endpoint.host, "sends a link that is none") from None
    # Whatever host an absolute link names: the list goes on where it began, and so do the credentials.
    path = url.path.removeprefix(endpoint.prefix)
    query = urllib.parse.quote(url.query, safe=_URL_SAFE)
    return urllib.parse.quote(path, safe=_URL_SAFE) + (f"?{query}" if query else "")


def _manifest_name(repository: str, name: str) -> str:
    return f"{repository}{'@' if ':' in name else ':'}{name}"


def _media_type(exchange: Exchange) -> str:
    return exchange.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _digest_header(exchange: Exchange, endpoint: Endpoint) -> Digest | None:
    text = exchange.headers.get("Docker-Content-Digest")
    if text is None:
        return None
    try:
        return Digest.parse(text.strip())
    except InvalidDigestError:
        raise MisbehavedError(endpoint.host, "sends a Docker-Content-Digest that is not a digest") from None


def _content_range(exchange: Exchange, host: str) -> tuple[int, int, int | None]:
    text = exchange.headers.get("Content-Range", "")
    match = _CONTENT_RANGE.match(text.strip())
    if match is None:
        raise MisbehavedError(host, f"answers HTTP 206 with Content-Range {text[:80]!r}")
    return int(match[1]), int(match[2]), None if match[3] == "*" else int(match[3])


def _captive_portal(endpoint: Endpoint) -> MisbehavedError:
    return MisbehavedError(
        endpoint.host, "a web page answers instead of a registry (a captive portal or a proxy in between?)"
    )
