"""What is wrong: in the store, found and repaired; on the way to a registry, diagnosed."""
