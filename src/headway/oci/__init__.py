"""The OCI image specification as values: no I/O."""
