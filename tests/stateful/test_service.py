"""No sequence of pulls, names, removals, containers, prunes and crashes tells the service from Moby's rules."""

from __future__ import annotations

from hypothesis import settings

from tests.stateful.service_machine import ServiceMachine

TestService = ServiceMachine.TestCase
TestService.settings = settings(max_examples=8, stateful_step_count=20, deadline=None)
