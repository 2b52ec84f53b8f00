"""Blobs on their way from registries: each fetched once, verified and unpacked while it arrives."""
