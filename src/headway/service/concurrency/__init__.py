"""How much runs at once, where it runs, and what it is shared by."""
