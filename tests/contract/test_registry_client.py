"""Registries: the contract, for the one over HTTP and the one in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headway.distribution.endpoints import Endpoint
from headway.registry.client import RegistryClient
from headway.registry.request import Sender
from headway.registry.transport import Transport
from tests.contract.registry_contract import IMAGE, LAYER, PATH, SIZE, RegistryContract
from tests.fakes.simulated_registry import SimulatedRegistry
from tests.faults.client import anonymous
from tests.faults.registry import Registry as ScriptedRegistry
from tests.faults.story import Fault, LongBody


class TestRegistryClient(RegistryContract):
    @pytest.fixture
    def held(self) -> Iterator[ScriptedRegistry]:
        with ScriptedRegistry([IMAGE], repository=PATH) as registry:
            yield registry

    @pytest.fixture
    def endpoint(self, held: ScriptedRegistry) -> Endpoint:
        return Endpoint(host=held.host, secure=False, scheme="http")

    @pytest.fixture
    def subject(self) -> Iterator[RegistryClient]:
        transport = Transport()
        yield RegistryClient(Sender(transport, anonymous))
        transport.close()


class TestSimulatedRegistry(RegistryContract):
    @pytest.fixture
    def held(self) -> SimulatedRegistry:
        return SimulatedRegistry([IMAGE], repository=PATH)

    @pytest.fixture
    def endpoint(self) -> Endpoint:
        return Endpoint(host="registry.test")

    @pytest.fixture
    def subject(self, held: SimulatedRegistry) -> SimulatedRegistry:
        return held

    def test_a_fault_that_needs_a_wire_is_refused_loudly(self, held: SimulatedRegistry, endpoint: Endpoint) -> None:
        held.faults = [Fault(LongBody())]

        with pytest.raises(NotImplementedError, match="LongBody"):
            held.blob(endpoint, PATH, LAYER, 0, SIZE).open()

    def test_it_remembers_what_was_asked(self, held: SimulatedRegistry, endpoint: Endpoint) -> None:
        held.piece = 100
        stream = held.blob(endpoint, PATH, LAYER, 1000, 2000)
        stream.open()
        stream.read()
        stream.close()

        asked = held.asked[0]

        assert (asked.host, asked.offset, asked.end, asked.sent) == ("registry.test", 1000, 2000, 100)
