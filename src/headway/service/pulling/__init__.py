"""Pulls, from a name to an image, and what they would cost."""
