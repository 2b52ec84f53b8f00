"""What to ask registries for, as settings have it."""

from __future__ import annotations

from headway.composition.host_platform import host_platform
from headway.distribution.endpoints import InsecureRegistries
from headway.oci.platform import Platform
from headway.oci.reference import Reference
from headway.service.remote_image import PullRequest
from headway.settings import Settings


def pull_request(settings: Settings, reference: Reference, platform: str | None = None) -> PullRequest:
    """Return what to ask for an image.

    Args:
        settings: Say which mirrors there are, and who need not prove who they are.
        reference: The image.
        platform: Its platform; what it leaves out is this machine's, None that of this machine.

    Raises:
        InvalidPlatformError: It is none.
    """
    host = host_platform()
    return PullRequest(
        reference=reference,
        platform=Platform.parse(platform, host) if platform else host,
        mirrors=settings.mirrors_of(reference.domain),
        insecure=InsecureRegistries(settings.insecure_registries),
    )
