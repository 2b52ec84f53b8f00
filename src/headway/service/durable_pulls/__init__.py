"""Pulls that outlive those who asked for them, and the process."""
