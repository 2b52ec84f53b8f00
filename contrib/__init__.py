"""What goes beside the program, and what writes it."""
