"""The process that serves the Engine API: settings, services and sockets joined, signals, logs."""
