"""Pushes to registries by the OCI distribution specification.

Rule: each call asks once; whether to ask again is decided in `distribution`.
"""

from __future__ import annotations

from headway.distribution.challenge import Access
from headway.distribution.endpoints import Endpoint
from headway.errors import NotFoundError, RejectedError
from headway.oci.digest import Digest
from headway.oci.media_types import ACCEPTED_MANIFESTS
from headway.records import RawManifest
from headway.registry.answers import digest_header
from headway.registry.request import Request, Sender
from headway.registry.sending import Body
from headway.registry.uploads import RegistryUpload, require_status


class RegistryPusher:
    """Implements `interfaces.registries.Pusher` over HTTP.

    Args:
        sender: Whose connections, logins and memory of hosts are used.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def blob_size(self, endpoint: Endpoint, repository: str, digest: Digest) -> int | None:
        """See `interfaces.registries.Pusher.blob_size`."""
        access = Access(repository, push=True)
        with Request(self._sender, endpoint, access, "HEAD", f"/v2/{repository}/blobs/{digest}", {}) as request:
            exchange = request.send()
            if exchange.status == 404:
                return None
            require_status(request, exchange, endpoint, str(digest), {200})
            is_packed = "Content-Encoding" in exchange.headers  # by a proxy in between: its length is another
            return 0 if is_packed else exchange.length or 0

    def has_manifest(self, endpoint: Endpoint, repository: str, digest: Digest) -> bool:
        """See `interfaces.registries.Pusher.has_manifest`."""
        access, headers = Access(repository, push=True), {"Accept": ACCEPTED_MANIFESTS}
        with Request(
            self._sender, endpoint, access, "HEAD", f"/v2/{repository}/manifests/{digest}", headers
        ) as request:
            exchange = request.send()
            if exchange.status == 404:
                return False
            require_status(request, exchange, endpoint, str(digest), {200})
            return True

    def session(self, endpoint: Endpoint, repository: str) -> RegistryUpload:
        """See `interfaces.registries.Pusher.session`."""
        return RegistryUpload(self._sender, endpoint, repository)

    def put_manifest(self, endpoint: Endpoint, repository: str, name: str, manifest: RawManifest) -> int:
        """See `interfaces.registries.Pusher.put_manifest`."""
        access, headers = Access(repository, push=True), {"Content-Type": manifest.media_type}
        target = f"/v2/{repository}/manifests/{name}"
        with Request(self._sender, endpoint, access, "PUT", target, headers, Body.of(manifest.data)) as request:
            exchange = request.send()
            whole, size, called = "the manifest", len(manifest.data), f"{repository}:{name}"
            try:
                require_status(request, exchange, endpoint, called, {200, 201, 202}, size=size, whole=whole)
            except NotFoundError as error:  # what it names is not there, it says
                said = error.detail or "answers HTTP 404"
                raise RejectedError(endpoint.host, exchange.status, f"does not take {whole}: {said}") from None
            stored = digest_header(exchange, endpoint)
            exchange.finish()
        if stored is not None and stored.algorithm == manifest.digest.algorithm and stored != manifest.digest:
            said = f"stores a manifest as {stored} that is {manifest.digest}"
            raise RejectedError(endpoint.host, exchange.status, said)
        return exchange.status
