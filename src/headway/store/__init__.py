"""Disk adapter: everything Headway keeps below the data root, in a database and in files beside it."""
