"""How trees become one mounted root file system."""
