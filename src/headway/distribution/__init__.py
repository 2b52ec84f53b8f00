"""The OCI distribution specification as decisions: no I/O, no clock, no event loop."""
