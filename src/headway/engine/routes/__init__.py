"""What the Engine API answers, by subject; each module gives its lines of the table of routes."""
