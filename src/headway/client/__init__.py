"""HTTP clients of daemons: of Headway's, for its own command, and of Docker's, for `headway adopt`."""
