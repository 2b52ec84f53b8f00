"""Layers: records in the database, trees on disk."""
