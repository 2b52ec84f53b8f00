"""The headway command: a module for each command, `arguments` for what each takes, and how results are shown."""
