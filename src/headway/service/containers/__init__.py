"""Containers and mounts: read-write layers on top of images."""
