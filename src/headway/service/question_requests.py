"""What Headway's own command asks its daemon of tags at their registries; the answer is `TagFreshness`."""

from __future__ import annotations

import msgspec

from headway.distribution.credentials import Credentials


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
