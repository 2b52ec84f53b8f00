"""The database, and the log of records that it can be rebuilt from."""
