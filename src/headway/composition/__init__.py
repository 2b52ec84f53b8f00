"""Builds the object graph by plain constructor calls. It knows no HTTP server and no command line."""
