"""What all tests share."""

from hypothesis import HealthCheck, settings

# Two busy cores make any deadline a coin toss; what is too slow is measured by bench and prove.
settings.register_profile("headway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("headway")
