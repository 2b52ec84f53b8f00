"""Builds what asks registries questions without changing anything here, as `headway outdated` does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from headway.composition.network import credential_source, transport_of
from headway.composition.requests import pull_request
from headway.composition.tools import tools_over
from headway.distribution.addresses import AddressBook
from headway.distribution.backoff import RetryPolicy
from headway.distribution.connection_lives import Life
from headway.distribution.standing import Standing
from headway.interfaces.images import HostMemory
from headway.oci.reference import Reference
from headway.registry.client import RegistryClient
from headway.registry.request import Sender
from headway.service.registries.repository import Repository
from headway.settings import Settings

ATTEMPTS = 2


class RememberedHosts:
    """A `HostMemory` that reads what is recorded, and keeps anything new in memory only.

    Args:
        recorded: What earlier pulls have recorded.
    """

    def __init__(self, recorded: HostMemory) -> None:
        self._recorded = recorded
        self._answered: set[str] = set()

    def answered(self, host: str) -> None:
        """See `HostMemory.answered`."""
        self._answered.add(host)

    def has_answered(self, host: str) -> bool:
        """See `HostMemory.has_answered`."""
        return host in self._answered or self._recorded.has_answered(host)

    def addresses(self) -> Mapping[str, Sequence[str]]:
        """See `HostMemory.addresses`."""
        return self._recorded.addresses()

    def lives(self) -> Mapping[str, Life]:
        """See `HostMemory.lives`."""
        return self._recorded.lives()

    def lived(self, lives: Mapping[str, Life]) -> None:
        """Do nothing: no upload takes place here."""

    def found(self, addresses: Mapping[str, Sequence[str]]) -> None:
        """Do nothing: only pulls and pushes record addresses."""


@contextmanager
def asking(settings: Settings, hosts: HostMemory) -> Iterator[Callable[[Reference], Repository]]:
    """Give a function that returns the repository which a reference names, ready to be asked.

    Args:
        settings: Whom to ask, and how.
        hosts: Which registries have answered before.
    """
    remembered = RememberedHosts(hosts)
    transport = transport_of(settings, standing=Standing(AddressBook(hosts.addresses())))
    client = RegistryClient(Sender(transport, credential_source(settings)))
    policy = RetryPolicy(ATTEMPTS, 0.0)  # somebody is waiting for the answer: do not outlast an outage
    with tools_over(transport, remembered, policy=lambda: policy, clock=time.monotonic) as tools:
        yield lambda reference: Repository(tools, client, remembered, pull_request(settings, reference))
