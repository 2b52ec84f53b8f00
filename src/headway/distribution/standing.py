"""What registries have shown in this process: shared by all that asks them, and by those who decide whom to ask."""

from __future__ import annotations

from headway.distribution.addresses import AddressBook
from headway.distribution.black_hole import BlackHole
from headway.distribution.clock import ClockWatch
from headway.distribution.connection_lives import ConnectionLives
from headway.distribution.health import Health
from headway.distribution.outages import Outages
from headway.distribution.patience import Patience
from headway.distribution.quota import Quota
from headway.distribution.throttle import Throttle


class Standing:
    """The memory of one process, by registry; each part says how it may be used from several threads.

    Args:
        addresses: What earlier processes knew of addresses.
        lives: What earlier processes knew of how far connections carry.

    Attributes:
        addresses: At which each host was found.
        throttle: When each may be asked again.
        health: Which have failed lately.
        outages: What cannot be connected to.
        patience: How long each needs.
        black_hole: To which large packets vanish.
        clock: Where this machine's clock was found wrong.
        quotas: What each lets us ask.
        reached: Hosts of registries to which, or to whose helpers, a connection was made, by a proxy too.
        trusted: Names whose certificate was found good.
        lives: How far connections to each carry an upload.
        whole_uploads: Hosts of registries that were found to take a blob whole only, and no pieces.
    """

    def __init__(self, addresses: AddressBook | None = None, lives: ConnectionLives | None = None) -> None:
        self.addresses = addresses or AddressBook()
        self.lives = lives or ConnectionLives()
        self.throttle = Throttle()
        self.health = Health()
        self.outages = Outages()
        self.patience = Patience()
        self.black_hole = BlackHole()
        self.clock = ClockWatch()
        self.quotas: dict[str, Quota] = {}
        self.reached: set[str] = set()
        self.trusted: set[str] = set()
        self.whole_uploads: set[str] = set()
