"""Images as archives: saved, loaded, taken over from another engine."""
