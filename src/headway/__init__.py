"""Headway: a Docker-compatible image service for links that break."""
