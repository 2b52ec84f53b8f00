"""Containers' records and read-write layers, and mounts."""
