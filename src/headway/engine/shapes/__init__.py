"""How values look in the Engine API's JSON, by subject and API version."""
