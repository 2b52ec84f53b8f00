"""What the headway command asks of its daemon."""
