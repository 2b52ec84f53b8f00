"""Headway beside its peers: the same work, on the same disk, in one run."""
