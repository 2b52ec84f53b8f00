"""A layer's tar unpacked into its tree."""
