"""A daemon that is asked over HTTP, as Headway's own command asks it."""
