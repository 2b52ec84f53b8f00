"""The handlers of the Engine API, by subject; each module contributes its rows to the table of routes."""
