"""Blobs, and ingests that become blobs."""
