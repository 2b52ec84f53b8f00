"""Turns values into the Engine API's JSON, by subject and API version."""
