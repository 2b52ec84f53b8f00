"""Every figure that the documents claim, measured again: `python -m tests.prove [NAME]`."""
