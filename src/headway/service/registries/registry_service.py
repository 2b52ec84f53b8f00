"""What the image service needs of registries: whom to ask, and how (moby-behaviour 1.1, RegistryService)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from headway.distribution.credentials import Credentials
from headway.distribution.endpoints import Endpoint, InsecureRegistries
from headway.interfaces.registries import SearchIndex, WebFiles
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.service.registries.remote_image import PullRequest


class RegistryService(msgspec.Struct, frozen=True, kw_only=True):
    """Registries as this process reaches them.

    Attributes:
        index: Finds repositories by words.
        files: Asks web servers that are no registries.
        verify: Shows a login to a registry, and returns what to save (`ImageService.authenticate`).
        mirrors_of: Returns the URLs that stand in for a registry, first choice first.
        insecure: Returns the hosts that may be asked without verified TLS.
        host_platform: What an image is wanted for where nobody says.
    """

    index: SearchIndex
    files: WebFiles
    verify: Callable[[Endpoint, Credentials], Credentials]
    mirrors_of: Callable[[str], tuple[str, ...]] = lambda _: ()
    insecure: Callable[[], InsecureRegistries] = InsecureRegistries
    host_platform: Platform

    def request(
        self, reference: Reference, platform: Platform | None = None, login: Credentials | None = None
    ) -> PullRequest:
        """Return what to ask for an image, or for its repository."""
        return PullRequest(
            reference=reference,
            platform=platform or self.host_platform,
            mirrors=self.mirrors_of(reference.domain),
            insecure=self.insecure(),
            login=login,
        )
