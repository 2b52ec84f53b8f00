"""The command line: what each command takes, by the groups of the help (docs/usage.md)."""
