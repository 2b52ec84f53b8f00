"""Pushes, from a name to a manifest at a registry."""
