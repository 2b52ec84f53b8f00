"""The daemon process: its configuration, sockets, signals and logs, around the services and the Engine API."""
