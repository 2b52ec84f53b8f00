"""What is asked and answered of tags at their registries, by Headway's own command and its daemon."""

from __future__ import annotations

import msgspec

from headway import wire
from headway.distribution.credentials import Credentials
from headway.oci.digest import Digest, ImageID
from headway.oci.reference import Reference
from headway.service.outdated import Freshness, TagFreshness


class OutdatedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which tags to compare with their registries.

    Attributes:
        names: Tags that are here; none for all.
        logins: Whose login asks a repository, by its domain and path; the daemon's own asks others.
        insecure: Registries that may be asked without verified TLS, besides those that are set.
    """

    names: tuple[str, ...] = ()
    logins: dict[str, Credentials] = {}
    insecure: tuple[str, ...] = ()


class ToldFreshness(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A `TagFreshness` on its way."""

    reference: Reference
    image_id: ImageID
    here: Digest | None = None
    there: Digest | None = None
    freshness: Freshness
    error: wire.ToldError | None = None

    @classmethod
    def of(cls, tag: TagFreshness) -> ToldFreshness:
        """Return a tag as it is told."""
        return cls(
            reference=tag.reference,
            image_id=tag.image_id,
            here=tag.here,
            there=tag.there,
            freshness=tag.freshness,
            error=None if tag.error is None else wire.told(tag.error),
        )

    def heard(self) -> TagFreshness:
        """Return what was told."""
        return TagFreshness(
            reference=self.reference,
            image_id=self.image_id,
            here=self.here,
            there=self.there,
            freshness=self.freshness,
            error=None if self.error is None else wire.heard(self.error),
        )
