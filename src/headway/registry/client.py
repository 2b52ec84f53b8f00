"""Reads from registries by the OCI distribution specification.

Rule 1: each call asks one endpoint once; whether to ask again, or somebody else, is decided in `distribution`.
Rule 2: an answer is checked against what was asked (digest, length, range, content type) before a byte is passed on.
"""

from __future__ import annotations

import re

import msgspec

from headway.distribution.endpoints import Endpoint
from headway.errors import (
    DigestMismatchError,
    InvalidDocumentError,
    MisbehavedError,
    WebPageError,
)
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.oci.manifest import MAX_MANIFEST_BYTES
from headway.oci.media_types import ACCEPTED_MANIFESTS
from headway.oci.reference import Reference, is_tag
from headway.records import RawManifest
from headway.registry.address import split_url, target_of
from headway.registry.answers import decode_json, digest_header, encoded, is_encoded, media_type_of
from headway.registry.blob import RegistryBlob
from headway.registry.request import Request, Sender

TAGS_AT_ONCE = 1000
MAX_TAG_PAGES = 1000
MAX_TAG_LIST_BYTES = 32 << 20
_LINK = re.compile(r"<([^<>]*)>([^,<>]*)")
_RELATION = re.compile(r'(?i);\s*rel\s*=\s*"?([^";]*)')


class _TagList(msgspec.Struct):
    tags: list[str] | None = None


class RegistryClient:
    """Implements `interfaces.registries.Registry` over HTTP.

    Args:
        sender: Whose connections, logins and memory of hosts are used.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def check(self, endpoint: Endpoint) -> None:
        """Ask whether the registry is one, and lets us in (distribution-spec, "Determining Support").

        Raises:
            RegistryError: It is not, or does not, or cannot be reached.
        """
        with Request(self._sender, endpoint, "", "GET", "/v2/", {}) as request:
            exchange = request.send()
            if exchange.status != 200:
                raise request.failure("registry", endpoint.host)
            if media_type_of(exchange) == "text/html":
                raise WebPageError(endpoint.host)
            exchange.finish()

    def resolve(self, endpoint: Endpoint, reference: Reference) -> Descriptor:
        """See `interfaces.registries.Registry.resolve`; a HEAD without a digest is followed by a GET, as Docker does.

        So is one that is refused or, by HTTP 501, not known: a manifest may be had all the same.
        """
        name = str(reference.digest or reference.tag)
        target = f"/v2/{reference.path}/manifests/{name}"
        with Request(self._sender, endpoint, reference.path, "HEAD", target, {"Accept": ACCEPTED_MANIFESTS}) as request:
            exchange = request.send()
            if exchange.status == 429 or (exchange.status >= 500 and exchange.status != 501):
                raise request.failure("manifest", _manifest_name(reference.path, name))
            size = exchange.length
            digest = digest_header(exchange, endpoint) if exchange.status == 200 else None
            media_type = media_type_of(exchange)
        if digest is None or size is None:
            manifest = self._get_manifest(endpoint, reference.path, name, reference.digest)
            digest, size, media_type = manifest.digest, len(manifest.data), manifest.media_type
        if reference.digest is not None and digest != reference.digest:
            raise DigestMismatchError("the manifest", reference.digest, digest, endpoint.host)
        return Descriptor(media_type=media_type, digest=digest, size=size)

    def fetch_manifest(self, endpoint: Endpoint, repository: str, digest: Digest) -> RawManifest:
        """See `interfaces.registries.Registry.fetch_manifest`."""
        return self._get_manifest(endpoint, repository, str(digest), digest)

    def _get_manifest(self, endpoint: Endpoint, repository: str, name: str, digest: Digest | None) -> RawManifest:
        """Return what a tag names; or what has `digest`, verified."""
        target = f"/v2/{repository}/manifests/{name}"
        with Request(self._sender, endpoint, repository, "GET", target, {"Accept": ACCEPTED_MANIFESTS}) as request:
            exchange = request.send()
            if exchange.status != 200:
                raise request.failure("manifest", _manifest_name(repository, name))
            media_type = media_type_of(exchange)
            if media_type == "text/html":
                raise WebPageError(endpoint.host)
            announced = exchange.length or 0
            data = exchange.read_up_to(MAX_MANIFEST_BYTES + 1) if announced <= MAX_MANIFEST_BYTES else b""
            if max(announced, len(data)) > MAX_MANIFEST_BYTES:
                raise InvalidDocumentError(f"the manifest is larger than {MAX_MANIFEST_BYTES} bytes", endpoint.host)
            if is_encoded(exchange) and not data.lstrip().startswith(b"{"):
                raise encoded("the manifest", exchange, endpoint)
            actual = Digest.of(data, digest.algorithm if digest is not None else "sha256")
            if digest is not None and actual != digest:
                raise DigestMismatchError("the manifest", digest, actual, endpoint.host)
        return RawManifest(media_type, data, actual)

    def blob(self, endpoint: Endpoint, repository: str, descriptor: Descriptor, offset: int, end: int) -> RegistryBlob:
        """See `interfaces.registries.Registry.blob`."""
        return RegistryBlob(self._sender, endpoint, repository, descriptor, offset, end)

    def tags(self, endpoint: Endpoint, repository: str) -> list[str]:
        """See `interfaces.registries.Registry.tags`."""
        tags: dict[str, None] = {}
        target, asked, received = f"/v2/{repository}/tags/list?n={TAGS_AT_ONCE}", set[str](), 0
        while target:
            if target in asked or len(asked) >= MAX_TAG_PAGES or received > MAX_TAG_LIST_BYTES:
                raise MisbehavedError(endpoint.host, "sends a list of tags that never ends")
            asked.add(target)
            with Request(self._sender, endpoint, repository, "GET", target, {"Accept": "application/json"}) as request:
                exchange = request.send()
                if exchange.status != 200:
                    raise request.failure("repository", repository)
                is_page = media_type_of(exchange) == "text/html"
                data = exchange.read_up_to(MAX_MANIFEST_BYTES)
                received += len(data)
                links = exchange.headers.get_all("Link") or []
                tags |= dict.fromkeys(_tags(data, endpoint, is_page=is_page))
            target = _next_page(endpoint, target, links)
        return list(tags)


def _tags(data: bytes, endpoint: Endpoint, *, is_page: bool) -> list[str]:
    try:
        found = decode_json(data, _TagList).tags
    except ValueError:
        said = "sends no list of tags"
        raise WebPageError(endpoint.host) if is_page else MisbehavedError(endpoint.host, said) from None
    if not all(map(is_tag, found or [])):
        raise MisbehavedError(endpoint.host, "lists a tag that cannot be one")
    return found or []


def _next_page(endpoint: Endpoint, target: str, links: list[str]) -> str:
    """Return the path of the next page of a list, nothing behind the last (distribution-spec, "Listing Tags")."""
    link = next((link[1] for header in links for link in _LINK.finditer(header) if _is_next(link[2])), None)
    if link is None:
        return ""
    url = split_url(link, f"https://{endpoint.host}{endpoint.prefix}{target}")
    if url is None:
        raise MisbehavedError(endpoint.host, "sends a link that is none")
    # Whatever host an absolute link names: the list goes on where it began, and so do the credentials.
    return target_of(url).removeprefix(endpoint.prefix)


def _is_next(parameters: str) -> bool:
    """Tell whether a link leads to the next page; one that does not say where to does (RFC 8288, 3.3, wants it said).

    Docker, skopeo and oras follow any link: a registry that leaves the relation out works with all of them.
    """
    relation = _RELATION.search(parameters)
    return relation is None or "next" in relation[1].lower().split()


def _manifest_name(repository: str, name: str) -> str:
    return f"{repository}{'@' if ':' in name else ':'}{name}"
