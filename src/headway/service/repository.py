"""One repository at its registry, for questions without a pull (moby-behaviour 1.2, GetRepository)."""

from __future__ import annotations

from headway.distribution.endpoints import endpoints_for
from headway.interfaces.images import HostMemory
from headway.interfaces.registries import Registry
from headway.oci.descriptor import Descriptor
from headway.oci.digest import Digest
from headway.oci.reference import Reference
from headway.records import RawManifest
from headway.service.asking import Asker
from headway.service.remote_image import PullRequest
from headway.service.tools import Tools


class Repository:
    """Asks one repository, by the rules that a pull asks by; nothing of the answers is kept.

    Args:
        tools: What to work with.
        registry: Answers.
        hosts: Which registries have answered before.
        request: Which repository, and where it may be asked.
    """

    def __init__(self, tools: Tools, registry: Registry, hosts: HostMemory, request: PullRequest) -> None:
        self.name = request.reference.name_only()
        self._registry = registry
        endpoints = endpoints_for(self.name.domain, request.mirrors, request.insecure, request.login)
        self._asker = Asker(tools, hosts, endpoints, name=self.name.familiar, report=lambda _: None)

    async def resolve(self, reference: Reference) -> Descriptor:
        """Return what a tag or a digest names.

        Raises:
            HeadwayError: Nobody knows, or nobody answers.
        """
        return await self._asker.ask(lambda endpoint: self._registry.resolve(endpoint, reference))

    async def manifest(self, digest: Digest) -> RawManifest:
        """Return a manifest or an index, verified; raise as `resolve`."""
        return await self._asker.ask(lambda endpoint: self._registry.fetch_manifest(endpoint, self.name.path, digest))

    async def tags(self) -> list[str]:
        """Return the repository's tags, in the registry's order; raise as `resolve`."""
        return await self._asker.ask(lambda endpoint: self._registry.tags(endpoint, self.name.path))
