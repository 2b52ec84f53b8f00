"""How many transfers, how many bytes, how fast: for the process, and for one pull."""
