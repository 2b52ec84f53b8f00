"""Archives of images as files."""
