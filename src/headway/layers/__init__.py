"""The files of layers: unpacks tars into trees, stacks trees into a file system, and makes the exact tars again."""
