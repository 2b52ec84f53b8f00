"""What Headway's own command asks of its daemon to push (``/headway/push``)."""

from __future__ import annotations

import msgspec


class PushWish(msgspec.Struct, frozen=True, kw_only=True):
    """What to push.

    Attributes:
        reference: Without a tag, every tag of the repository that is here.
        platform: Push this platform's manifest alone; empty for what the name stands for.
        insecure: Hosts that may be asked without verified TLS, beside the daemon's own.
    """

    reference: str
    platform: str = ""
    insecure: tuple[str, ...] = ()
