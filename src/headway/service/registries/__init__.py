"""What registries are asked before, or without, a transfer."""
