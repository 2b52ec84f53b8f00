"""`make bench-badlink`: what crosses a link that breaks, by program and fault."""
