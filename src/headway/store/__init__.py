"""Disk adapter: what Headway keeps below the data root."""
