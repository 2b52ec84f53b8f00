"""What Headway's own command asks its daemon to do at registries, where it brings nothing from there."""

from __future__ import annotations

import msgspec

from headway.distribution.credentials import Credentials


class PushWish(msgspec.Struct, frozen=True, kw_only=True):
    """What to push (``/headway/push``).

    Attributes:
        reference: Without a tag, every tag of the repository that is here.
        platform: Push this platform's manifest alone; empty for what the name stands for.
        insecure: Hosts that may be asked without verified TLS, beside the daemon's own.
    """

    reference: str
    platform: str = ""
    insecure: tuple[str, ...] = ()


class OutdatedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which tags to compare with their registries; the answer is `TagFreshness`.

    Attributes:
        names: Tags that are here; none for all.
        logins: Whose login asks a repository, by its domain and path; the daemon's own asks others.
        insecure: Registries that may be asked without verified TLS, besides those that are set.
    """

    names: tuple[str, ...] = ()
    logins: dict[str, Credentials] = {}
    insecure: tuple[str, ...] = ()
