"""The tar format: entries read from a stream, and written to one."""
