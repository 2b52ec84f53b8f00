"""What all tests share."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from headway.layers.unpacking.umask import current_umask

# Two busy cores make any deadline a coin toss; what is too slow is measured by bench and prove.
settings.register_profile("headway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("headway")

# Whoever runs the tests in the background has SIGINT ignored, and so would the commands that are to be stopped by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def the_umask_stays() -> Iterator[None]:
    """Fail the test that leaves another umask behind, and not a later one whose files come out otherwise."""
    before = current_umask()
    yield
    assert current_umask() == before
