"""Builds the object graph by plain constructor calls: a module for each purpose that a command or the daemon has.

It knows no HTTP server and no command line.
"""
