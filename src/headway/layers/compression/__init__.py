"""The compressed formats of layers: from blob to tar, and from tar to blob."""
