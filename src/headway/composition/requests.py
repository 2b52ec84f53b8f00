"""Makes the request for an image from a reference and the settings."""

from __future__ import annotations

from headway.composition.host_platform import host_platform
from headway.distribution.endpoints import InsecureRegistries
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.service.registries.remote_image import PullRequest
from headway.settings import Settings


def pull_request(settings: Settings, reference: Reference, platform: str | None = None) -> PullRequest:
    """Return the request for an image.

    Args:
        settings: Name the mirrors, and the registries that need no verified TLS.
        reference: The image.
        platform: ``os[/arch[/variant]]``; this machine's stands in for parts that are left out, and for None.

    Raises:
        InvalidPlatformError: `platform` is not a platform.
    """
    host = host_platform()
    return PullRequest(
        reference=reference,
        platform=Platform.parse(platform, host) if platform else host,
        mirrors=settings.mirrors_of(reference.domain),
        insecure=InsecureRegistries(settings.insecure_registries),
    )
