"""Images in the store, by name: found, listed, inspected, tagged, removed."""
