"""Images that are made here: imported and committed."""
