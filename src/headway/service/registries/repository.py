"""One repository at its registry, for questions without a pull (moby-behaviour 1.2, GetRepository)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from headway.distribution.endpoints import Endpoint, endpoints_for
from headway.errors import DigestMismatchError
from headway.interfaces.images import HostMemory
from headway.interfaces.registries import Registry
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.oci.image_config import check_config_size
from headway.oci.reference import Reference
from headway.records import RawManifest
from headway.service.registries.asking import Asker
from headway.service.registries.remote_image import PullRequest
from headway.service.transfers.progress import Waiting
from headway.service.transfers.tools import Tools


class Repository:
    """Queries one repository by the same rules as a pull; the answers are not kept.

    Args:
        tools: What to work with.
        registry: Sends the requests.
        hosts: Which registries have answered before.
        request: Which repository, and where it may be asked.
        report: Called while it waits.
    """

    def __init__(
        self,
        tools: Tools,
        registry: Registry,
        hosts: HostMemory,
        request: PullRequest,
        report: Callable[[Waiting], None] = lambda _: None,
    ) -> None:
        self.name = request.reference.name_only()
        self._registry = registry
        endpoints = endpoints_for(self.name.domain, request.mirrors, request.insecure, request.login)
        self._asker = Asker(tools, hosts, endpoints, name=self.name.familiar, report=report)

    async def resolve(self, reference: Reference) -> Descriptor:
        """Return what a tag or a digest names.

        Raises:
            HeadwayError: Nobody knows, or nobody answers.
        """
        return await self._asker.ask(lambda endpoint: self._registry.resolve(endpoint, reference))

    async def manifest(self, digest: Digest) -> RawManifest:
        """Return a manifest or an index, verified; raise as `resolve`."""
        return await self._asker.ask(lambda endpoint: self._registry.fetch_manifest(endpoint, self.name.path, digest))

    async def config(self, descriptor: Descriptor) -> bytes:
        """Return an image's config, verified; raise as `resolve`."""
        check_config_size(descriptor.size)
        return await self._asker.ask(lambda endpoint: self._read(endpoint, descriptor))

    def _read(self, endpoint: Endpoint, descriptor: Descriptor) -> bytes:
        data = bytearray()
        with closing(self._registry.blob(endpoint, self.name.path, descriptor, 0, descriptor.size)) as stream:
            stream.open()
            while len(data) <= descriptor.size and (piece := stream.read()):
                data += piece
        actual = Digest.of(data, descriptor.digest.algorithm)
        if actual != descriptor.digest:
            raise DigestMismatchError("the image's config", descriptor.digest, actual, endpoint.host)
        return bytes(data)

    async def tags(self) -> list[str]:
        """Return the repository's tags, in the registry's order; raise as `resolve`."""
        return await self._asker.ask(lambda endpoint: self._registry.tags(endpoint, self.name.path))
