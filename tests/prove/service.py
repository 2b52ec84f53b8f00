"""The image service beside Moby's rules, for a long time."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.prove.sheet import Sheet, check
from tests.stateful.service_machine import ServiceMachine

EXAMPLES, STEPS = 250, 50


@check("service-model", "No sequence of operations and crashes tells the image service from a model of Moby's rules.")
def service_model(sheet: Sheet) -> None:
    """Run the state machine for minutes, and tell what it did."""
    operations = ServiceMachine.operations
    operations.clear()
    how = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    machine = seed(random.Random(sheet.seed).randrange(2**32))(ServiceMachine)
    difference = ""
    try:
        run_state_machine_as_test(machine, settings=how)
    except Exception as error:  # whatever it is: it is one
        difference = f"{type(error).__name__}: {error}"
    sheet.right("the service and the model agree, always", difference)
    for name in sorted(operations):
        sheet.at_least(name, operations[name], EXAMPLES // 10)
